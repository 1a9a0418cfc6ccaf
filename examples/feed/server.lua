-- SPDX-License-Identifier: MIT
-- A feed of prices, as an exchange has it, on a bad day: it drops every connection after a few seconds.
-- Usage: lua server.lua [port [seconds]]
--
-- An update is a line, `NUMBER SYMBOL PRICE`; /?since=NUMBER asks for those that came after it.
local websockets = require 'websockets'

local port, seconds = arg[1] or 8080, tonumber(arg[2]) or 5
local symbols, prices = { 'BTC', 'ETH', 'LUA' }, { BTC = 60000, ETH = 3000, LUA = 54 }
local updates, kept = {}, 1000 -- number -> line: the last ones
local count = 0

local context
context = websockets.context {
  port = port,
  on_http = function(ws)
    ws:respond(200, nil, 'Prices are told to websockets: lua examples/feed/client.lua\n')
  end,
  protocols = {
    feed = function(ws)
      local since = tonumber(ws:request().query.since) or count
      for number = math.max(since + 1, count - kept + 1), count do
        ws:write(updates[number])
      end
      ws:subscribe 'updates'
      context:after(seconds, function()
        ws:terminate()
      end)
    end,
  },
}

context:every(0.1, function()
  local symbol = symbols[math.random(#symbols)]
  prices[symbol] = prices[symbol] * (1 + (math.random() - 0.5) / 100)
  count = count + 1
  updates[count] = ('%d %s %.2f'):format(count, symbol, prices[symbol])
  updates[count - kept] = nil
  context:publish('updates', updates[count])
end)

print(('Open http://localhost:%s/ in a browser, or start examples/feed/client.lua'):format(port))
io.stdout:flush()
os.exit((context:run()))
