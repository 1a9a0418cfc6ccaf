-- SPDX-License-Identifier: MIT
-- A server on a unix socket, for the programs of this machine.
-- Usage: lua unix.lua [socket]
local websockets = require 'websockets'

local path = arg[1] or '/tmp/websockets-example.sock'

local context = websockets.context {
  listen = { 'unix:' .. path },
  unix_mode = 384, -- octal 600: for this user only
  on_http = function(ws, uri)
    ws:respond(200, nil, 'You asked for ' .. uri .. '\n')
  end,
  protocols = {
    echo = function(ws)
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,
  },
}

print(('Try curl --unix-socket %s http://localhost/hello'):format(path))
io.stdout:flush()
os.exit((context:run()))
