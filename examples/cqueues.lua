-- SPDX-License-Identifier: MIT
-- A server in a controller of cqueues, beside another coroutine.
local cqueues = require 'cqueues'

local queue = cqueues.new()

local context = require('websockets.cqueues').context({
  port = 8080,
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}, queue)

queue:wrap(function()
  while true do
    cqueues.sleep(1)
    context:broadcast('clock', os.date())
  end
end)

assert(queue:loop())
