-- SPDX-License-Identifier: MIT
-- A server in Copas, beside another one: what is sent to that, line by line, goes to every websocket.
-- Usage: lua loop-copas.lua [port] [port of the other one]
local copas = require 'copas'
local socket = require 'socket'
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port, other_port = arg[1] or 8080, arg[2] or 8081

local context = require('websockets.copas').context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    lines = function(ws)
      ws:write(('Whatever is sent to port %s appears here.'):format(other_port))
    end,
  },
}

copas.addserver(assert(socket.bind('*', other_port)), function(peer)
  peer = copas.wrap(peer)
  local line = peer:receive '*l'
  while line do
    context:broadcast('lines', line)
    line = peer:receive '*l'
  end
end)

print(('Open http://localhost:%s/ in a browser, then try in bash: echo hello >/dev/tcp/127.0.0.1/%s'):format(port, other_port))
io.stdout:flush()
-- Copas knows no signals. Ctrl-C is an error for Lua, but only when it has something to do: once a second here.
local ok, why = pcall(copas.loop, 1)
if not ok and not tostring(why):find 'interrupted!' then
  error(why, 0)
end
