-- SPDX-License-Identifier: MIT
-- The echo server again, without callbacks: each websocket has a coroutine, which waits for what comes.
-- Usage: lua echo-coroutines.lua [port]
local websockets = require 'websockets'

local port = arg[1] or 8080
local context = websockets.context {
  port = port,
  on_http = function(ws)
    ws:respond(200, nil, 'This is an echo server. Talk to it from the console of this page: F12 opens it.')
  end,
  protocols = {
    echo = websockets.handler(function(ws)
      while true do
        local data, type = ws:receive()
        if not data then
          return
        end
        ws:write(data, type)
      end
    end),
  },
}

print(('Open http://localhost:%s/ in a browser; Ctrl-C ends the server'):format(port))
io.stdout:flush()
context:run()
