-- SPDX-License-Identifier: MIT
-- A server in a controller of cqueues, beside other coroutines.
-- Usage: lua loop-cqueues.lua [port]
local cqueues = require 'cqueues'
local signal = require 'cqueues.signal'
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080
local queue = cqueues.new()
local is_running = true

local context = require('websockets.cqueues').context({
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}, queue)

queue:wrap(function()
  while is_running do
    context:broadcast('clock', os.date())
    cqueues.sleep(1)
  end
  context:destroy()
end)

signal.block(signal.SIGINT)
queue:wrap(function()
  signal.listen(signal.SIGINT):wait()
  is_running = false
end)

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
assert(queue:loop())
