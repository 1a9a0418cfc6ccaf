-- SPDX-License-Identifier: MIT
-- A game for LÖVE: each player sees the pointers of all others. Nothing of it ever waits for the network.
-- Usage: love examples/love [URL]
local websockets = require 'websockets'

local ws
local pointers = {} -- id -> its place
local status = 'Connecting'

function love.load(arguments)
  ws = websockets.connect(arguments[1] or 'ws://localhost:8080/', { reconnect = { max_delay = 5 } })

  ws:on_open(function()
    pointers, status = {}, 'Connected'
  end)

  ws:on_receive(function(ws, message)
    local id, x, y = message:match '^(%d+) (%d+) (%d+)$'
    if id then
      pointers[id] = { x = tonumber(x), y = tonumber(y) }
    else
      pointers[message:match '^(%d+) gone$'] = nil
    end
  end)

  ws:on_retry(function(ws, seconds, failure)
    status = tostring(failure)
  end)

  ws:on_closed(function(ws, code, reason, failure)
    status = tostring(failure or 'Closed')
  end)
end

function love.update()
  ws:context():service(0) -- what has come, what has to leave
end

function love.mousemoved(x, y)
  if ws:state() == 'open' then
    ws:write(('%d %d'):format(x, y))
  end
end

function love.draw()
  love.graphics.print(status, 10, 10)
  for _, pointer in pairs(pointers) do
    love.graphics.circle('fill', pointer.x, pointer.y, 8)
  end
end

function love.quit()
  ws:close()
end
