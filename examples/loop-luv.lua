-- SPDX-License-Identifier: MIT
-- A server in luv's loop, beside a timer of that loop.
-- Usage: lua loop-luv.lua [port]
local uv = require 'luv'
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080

local context = require('websockets.luv').context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}

uv.new_timer():start(1000, 1000, function()
  context:broadcast('clock', os.date())
end)

uv.new_signal():start('sigint', function()
  context:destroy()
  uv.stop()
end)

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
uv.run()
