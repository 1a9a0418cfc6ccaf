-- SPDX-License-Identifier: MIT
-- A server in a base of lua-event, beside a timer of that base.
-- Usage: lua loop-event.lua [port]
local event = require 'luaevent.core'
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080
local sigint = 2
local base = event.new()

local context = require('websockets.event').context({
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    clock = function(ws)
      ws:write 'You will be told the time every second.'
    end,
  },
}, base)

local timer = base:addevent(nil, event.EV_TIMEOUT, function()
  context:broadcast('clock', os.date())
end, 1)

local interrupt
interrupt = base:addevent(sigint, event.EV_SIGNAL, function()
  context:destroy()
  timer:close() -- the loop ends when nothing is left
  return event.LEAVE
end)

print(('Open http://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
base:loop()
interrupt:close()
