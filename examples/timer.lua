-- SPDX-License-Identifier: MIT
-- Tells everyone who is connected the time, every second.
-- Usage: lua timer.lua [port]
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080

local context = websockets.context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    clock = function(ws)
      ws:subscribe 'time'
    end,
  },
}

context:every(1, function()
  context:publish('time', os.date '%H:%M:%S')
end)

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
os.exit((context:run()))
