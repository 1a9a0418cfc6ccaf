-- SPDX-License-Identifier: MIT
-- Tells everyone who is connected the time, every second.
-- Usage: lua timer.lua [port]
local websockets = require 'websockets'

local port = arg[1] or 8080

local context = websockets.context {
  port = port,
  protocols = {
    clock = function(ws)
      ws:subscribe 'time'
    end,
  },
}

context:every(1, function()
  context:publish('time', os.date '%H:%M:%S')
end)

print(('Connect to ws://localhost:%s/, by python3 -m websockets, say'):format(port))
io.stdout:flush()
os.exit((context:run()))
