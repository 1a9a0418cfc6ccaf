-- SPDX-License-Identifier: MIT
-- A server in a base of lua-event, beside a timer of that base.
local event = require 'luaevent.core'

local base = event.new()

local context = require('websockets.event').context({
  port = 8080,
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}, base)

local timer = base:addevent(nil, event.EV_TIMEOUT, function()
  context:broadcast('clock', os.date())
end, 1)

base:loop()
timer:close()
