-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

local context = websockets.context {
  port = 8080,
  on_http = function(ws)
    ws:respond(200, nil, 'This is an echo server. Talk to it from the console of this page: F12 opens it.')
  end,
  protocols = {
    echo = function(ws)
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,
  },
}

print 'Open http://localhost:8080/ in a browser; Ctrl-C ends the server'
context:run()
