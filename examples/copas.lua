-- SPDX-License-Identifier: MIT
-- A server in Copas, beside another one: what is sent to port 8081, line by line, goes to every websocket.
local copas = require 'copas'
local socket = require 'socket'

local context = require('websockets.copas').context {
  port = 8080,
  protocols = {
    lines = function(ws)
      ws:write 'Whatever is sent to port 8081 appears here.'
    end,
  },
}

copas.addserver(assert(socket.bind('*', 8081)), function(peer)
  peer = copas.wrap(peer)
  local line = peer:receive '*l'
  while line do
    context:broadcast('lines', line)
    line = peer:receive '*l'
  end
end)

copas.loop()
