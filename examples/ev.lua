-- SPDX-License-Identifier: MIT
-- A server in lua-ev's loop, beside a timer of that loop.
local ev = require 'ev'

local context = require('websockets.ev').context {
  port = 8080,
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}

local timer = ev.Timer.new(function()
  context:broadcast('clock', os.date())
end, 1, 1)

timer:start(ev.Loop.default)
ev.Loop.default:loop()
