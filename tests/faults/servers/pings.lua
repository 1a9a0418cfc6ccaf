-- SPDX-License-Identifier: MIT
-- Pings, a limit on messages, and who is told of those that are refused.
local websockets = require 'websockets'

local context
local server = {}

local function on_receive(ws, data)
  note 'message'
  local count = 0
  for other in context:websockets 'echo' do
    if other:context() == context then count = count + 1 end
  end
  ws.last = data
  ws:ping(data)
  ws:write(('%s of %d'):format(ws.last, count))
end

local function on_open(ws)
  note 'open'
  ws:on_closed(function() note 'closed' end)
  ws:on_pong(function(_, data)
    note('pong ' .. data)
    ws:write(data .. ' again')
  end)
  ws:on_receive(on_receive)
  ws:ping 'first'
end

function server.start()
  context = websockets.context {
    listen = { 'unix:' .. path },
    max_message_rate = { 0.001, 2 },
    on_error = function() note 'error' end,
    on_refused = function(reason, details) note('?' .. reason .. ' ' .. (details.status or 0)) end,
    protocols = { echo = on_open },
  }
end

function server.step() context:service(0) end

function server.stop() context:destroy() end

return server
