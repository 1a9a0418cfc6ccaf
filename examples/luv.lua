-- SPDX-License-Identifier: MIT
-- A server in luv's loop, beside a timer of that loop.
local uv = require 'luv'

local context = require('websockets.luv').context {
  port = 8080,
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}

uv.new_timer():start(1000, 1000, function()
  context:broadcast('clock', os.date())
end)

uv.run()
