-- SPDX-License-Identifier: MIT
-- Usage: lua client.lua PORT CONNECTIONS SIZE
--
-- Connects so often, and has messages of so many bytes echoed, one under way on each connection: first one on each, as
-- it opens, then as many more as a line of input says. Prints a line each time when all are back. Ends with its input.

local websockets = require 'websockets'

local port, connections, size = arg[1], tonumber(arg[2]), tonumber(arg[3])
local MOST_OPENING = 64
local url = 'ws://127.0.0.1:' .. port .. '/'
local BINARY = websockets.WRITE_BINARY
local payload = ('x'):rep(size)
local context = websockets.context {}
local open = {} -- those whose first message is back
local asked = 0
local unsent, awaited = 0, 0

local function exchange_more()
  print 'done'
  io.stdout:flush()
  local count = io.read 'n'
  if not count then
    os.exit()
  end
  unsent, awaited = count, count
  for i = 1, math.min(count, connections) do
    unsent = unsent - 1
    open[i]:write(payload, BINARY)
  end
end

local connect

local function on_message(ws)
  if unsent > 0 then
    unsent, awaited = unsent - 1, awaited - 1
    ws:write(payload, BINARY)
    return
  end
  if awaited > 0 then
    awaited = awaited - 1
  else
    open[#open + 1] = ws
    if asked < connections then
      connect()
    end
  end
  if awaited == 0 and #open == connections then
    exchange_more()
  end
end

local function on_closed(_, code, reason)
  error(('closed: %d %s'):format(code, reason))
end

local options = { protocols = { 'bench' } }

function connect()
  asked = asked + 1
  local ws = context:connect(url, options)
  ws:on_receive(function(ws)
    on_message(ws)
  end)
  ws:on_closed(on_closed)
  ws:write(payload, BINARY)
end

for _ = 1, math.min(MOST_OPENING, connections) do
  connect()
end
while true do
  context:service(-1)
end
