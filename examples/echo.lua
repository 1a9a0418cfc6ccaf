-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

local port = arg[1] or 8080
local context = websockets.context {
  port = port,
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

print(('Open http://localhost:%s/ in a browser; Ctrl-C ends the server'):format(port))
io.stdout:flush()
context:run()
