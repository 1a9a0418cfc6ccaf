-- SPDX-License-Identifier: MIT
-- Tells all players where the pointers of the others are, for main.lua.
-- Usage: lua server.lua [port]
local websockets = require 'websockets'

local port = arg[1] or 8080
local count = 0

local context = websockets.context {
  port = port,
  on_http = function(ws)
    ws:respond(200, nil, 'Players come with LÖVE: love examples/love\n')
  end,
  protocols = {
    pointers = function(ws)
      count = count + 1
      local id = count
      ws:subscribe 'pointers'
      ws:on_receive(function(ws, position) -- X Y
        if position:match '^%d+ %d+$' then
          ws:publish('pointers', ('%d %s'):format(id, position))
        end
      end)
      ws:on_closed(function(ws)
        ws:context():publish('pointers', ('%d gone'):format(id))
      end)
    end,
  },
}

print(('Open http://localhost:%s/ in a browser, or start two times: love examples/love'):format(port))
io.stdout:flush()
os.exit((context:run()))
