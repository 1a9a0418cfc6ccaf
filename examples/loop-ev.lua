-- SPDX-License-Identifier: MIT
-- A server in lua-ev's loop, beside a timer of that loop.
-- Usage: lua loop-ev.lua [port]
local ev = require 'ev'
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080
local loop = ev.Loop.default

local context = require('websockets.ev').context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}

ev.Timer.new(function()
  context:broadcast('clock', os.date())
end, 1, 1):start(loop)

ev.Signal.new(function()
  context:destroy()
  loop:unloop()
end, ev.SIGINT):start(loop)

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
loop:loop()
