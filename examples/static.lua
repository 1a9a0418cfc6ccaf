-- SPDX-License-Identifier: MIT
-- A website, and a chat on the same port: all files of a folder, and what one says is sent to everyone.
-- Usage: lua static.lua [port] [folder]
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080
local folder = arg[2] or here .. 'page'

local files = websockets.static(folder, {
  max_age = 60,
  headers = { ['X-Content-Type-Options'] = 'nosniff' },
  fallthrough = true,
})

local context = websockets.context {
  port = port,

  protocols = {
    chat = function(ws)
      ws:on_receive(function(ws, data)
        ws:broadcast(data)
      end)
    end,
  },

  on_http = function(ws, uri)
    if not files(ws, uri) then
      ws:respond(404, { ['Content-Type'] = 'text/html' }, '<!doctype html><title>404</title>There is no such page.')
    end
  end,
}

print(('Open http://localhost:%s/ in two windows of a browser'):format(port))
io.stdout:flush()
os.exit((context:run()))
