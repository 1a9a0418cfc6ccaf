-- SPDX-License-Identifier: MIT
-- Usage: lua reconnect.lua [CLIENTS [SECONDS]]
--
-- So many clients with `reconnect = true`, 200 if nothing else is said, lose their server, which comes back on the same
-- port after so many seconds, 30. Prints when they tried to connect while it was gone, and when they were back: that
-- they do not all come at once. Ends once all are. Needs LuaSocket, for its clock.

local websockets = require 'websockets'
local now = require('socket').gettime

local clients, outage = tonumber(arg[1] or 200), tonumber(arg[2] or 30)
local WIDTH = 40

local function open_server(address)
  return websockets.context {
    listen = { address },
    protocols = { bench = function() end },
  }
end

local server = open_server '127.0.0.1:0'
local address = server:addresses()[1]
local context = websockets.context {}
local lost, back -- when
local open = 0
local attempts, openings = {}, {} -- seconds since the loss, since the return

local function serve_until(condition)
  while not condition() do
    server:service(0)
    context:service(10)
  end
end

for _ = 1, clients do
  local ws = context:connect('ws://' .. address, {
    reconnect = true,
    headers = function() -- is called before each attempt
      if lost and not back then
        attempts[#attempts + 1] = now() - lost
      end
    end,
  })
  ws:on_open(function()
    open = open + 1
    if back then
      openings[#openings + 1] = now() - back
    end
  end)
end
serve_until(function() return open == clients end)

local function print_histogram(title, times, step)
  local counts, last, most = {}, 0, 1
  for _, time in ipairs(times) do
    local bin = math.floor(time / step)
    counts[bin] = (counts[bin] or 0) + 1
    last, most = math.max(last, bin), math.max(most, counts[bin])
  end
  print(title)
  for bin = 0, last do
    local count = counts[bin] or 0
    print((('%5.1f s %4d %s'):format(bin * step, count, ('#'):rep(math.ceil(count * WIDTH / most))):gsub(' $', '')))
  end
end

lost = now()
server:destroy()
local is_over = false
context:after(outage, function() is_over = true end)
while not is_over do
  context:service(-1)
end
back, open = now(), 0
server = open_server(address)
serve_until(function() return open == clients end)

print_histogram(('Attempts while the server was gone, %d in all'):format(#attempts), attempts, outage / 15)
print_histogram('Openings after its return', openings, outage / 6)
