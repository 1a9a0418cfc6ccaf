-- SPDX-License-Identifier: MIT
-- A website, and a chat on the same port: all files of a folder, and what one says is sent to everyone.
-- Usage: lua static.lua [folder] [port]
local websockets = require 'websockets'

local folder = arg[1] or 'test-server'
local port = arg[2] or 8080

local files = websockets.static(folder, {
  index = { 'index.html', 'test.html' },
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

print(('Open http://localhost:%s/ in a browser'):format(port))
while true do
  context:service(-1)
end
