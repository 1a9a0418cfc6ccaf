-- SPDX-License-Identifier: MIT
-- Follows the feed of server.lua, however often it is dropped, and misses nothing: each attempt asks for what came
-- after the last update that was seen.
-- Usage: lua client.lua [URL]
local websockets = require 'websockets'

local url = arg[1] or 'ws://localhost:8080/'
local last -- the number of the last update

local ws = websockets.connect(function() -- called before each attempt
  return last and ('%s?since=%d'):format(url, last) or url
end, { reconnect = { max_delay = 10 }, idle_timeout = 15, ping_interval = 5 })

ws:on_open(function()
  print(last and 'Goes on after ' .. last or 'Begins')
end)

ws:on_receive(function(ws, update)
  local number, symbol, price = update:match '^(%d+) (%w+) (%S+)$'
  number = tonumber(number)
  if last and number ~= last + 1 then
    print(('%d updates are missing'):format(number - last - 1))
  end
  last = number
  print(symbol, price)
end)

ws:on_retry(function(ws, seconds, failure)
  print(('%s; again in %.1f s'):format(tostring(failure), seconds))
end)

ws:on_closed(function(ws, code, reason, failure)
  print(failure or 'Closed')
end)

os.exit((websockets.run()))
