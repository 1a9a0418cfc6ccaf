-- SPDX-License-Identifier: MIT
-- A machine of a cluster, for bench/cluster: lua node.lua URL ROLE [arguments]. Each role says "ready", waits for a line on
-- standard input, does its work, and says "done", with what it has found.
local websockets = require 'websockets'

local url, role = arg[1], arg[2]
local roles = {}
local context, up, sockets = nil, false, {}

local function serve_until(is_there)
  while not is_there() do context:service(1) end
end

local function machine(more)
  local config = {
    listen = { '127.0.0.1:0' }, cluster = url, history = { topics = { 'h/' } }, max_connections = 0,
    on_cluster = function(state)
      assert(not up, state)
      up = state == 'up'
    end,
    protocols = { p = function(ws) sockets[#sockets + 1] = ws end },
  }
  for name, value in pairs(more or {}) do config[name] = value end
  context = websockets.context(config)
  serve_until(function() return up end)
end

local function address() return 'ws://' .. context:addresses()[1] end

-- A websocket of this machine.
local function open()
  context:connect(address(), { protocols = { 'p' } })
  serve_until(function() return sockets[1] end)
  return sockets[1]
end

-- Until Redis has answered all that was sent.
local function fence()
  local answer
  context:count('fence', function(count) answer = count end)
  serve_until(function() return answer end)
end

local function ready(...)
  print('ready', ...)
  io.stdout:flush()
  assert(io.read '*l')
end
local function done(...)
  print('done', ...)
  io.stdout:flush()
end
local function serve_for_ever()
  while true do context:service(-1) end
end

-- Hears a topic.
function roles.hear(topic)
  machine()
  open():subscribe(topic)
  fence()
  print 'ready'
  io.stdout:flush()
  serve_for_ever()
end

-- Publishes so many messages, `batch` in each round. `size`: of the history.
function roles.publish(topic, count, batch, bytes, size)
  machine { history = { topics = { 'h/' }, size = size } }
  local data = ('x'):rep(bytes)
  local function publish(messages)
    local sent = 0
    local function publish_some()
      for _ = 1, batch do assert(context:publish(topic, data) == 0) end
      sent = sent + batch
      if sent % 512 > 0 and sent < messages then context:after(0, publish_some) end
    end
    repeat
      context:after(0, publish_some)
      fence()
      serve_until(function() return sent % 512 == 0 or sent >= messages end)
    until sent >= messages
    fence()
  end
  publish(512)
  ready()
  publish(count)
  done()
end

-- What a message is on its way, from machine to machine; `send` sends the time, `hear_times` the median and the 99th
-- percentile, in microseconds.
function roles.send_times(count, seconds)
  machine()
  local gettime = require('socket').gettime
  local sent = 0
  ready()
  context:every(seconds, function()
    if sent < count then context:broadcast('p', ('%.6f'):format(gettime())) end
    sent = sent + 1
  end)
  serve_until(function() return sent > count end)
  fence()
  done()
end
function roles.hear_times(count)
  machine()
  local gettime, times = require('socket').gettime, {}
  open():on_broadcast(function(_, data) times[#times + 1] = gettime() - tonumber(data) end)
  fence()
  ready()
  serve_until(function() return #times == count end)
  table.sort(times)
  done(times[math.ceil(#times * 0.5)] * 1e6, times[math.ceil(#times * 0.99)] * 1e6)
end

-- Serves clients, who all hear a topic; publishes `count` messages to it when it is told to, or none.
function roles.serve(topic, connections, count)
  machine { protocols = { p = function(ws)
    ws:subscribe(topic)
    sockets[#sockets + 1] = ws
  end } }
  print('ready', address())
  io.stdout:flush()
  serve_until(function() return #sockets == connections end)
  fence()
  ready()
  local data = ('x'):rep(100)
  for _ = 1, count do
    context:publish(topic, data)
    repeat context:service(0) until context:stats().queued_bytes < 2 ^ 20
  end
  serve_for_ever()
end

-- Clients of such a server, until each has got so many messages. Not of a cluster.
function roles.clients(server, connections, count)
  context = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
  local open_clients, received = 0, 0
  for _ = 1, connections do
    local ws = context:connect(server, { protocols = { 'p' } })
    ws:on_open(function() open_clients = open_clients + 1 end)
    ws:on_receive(function() received = received + 1 end)
  end
  serve_until(function() return open_clients == connections end)
  ready()
  serve_until(function() return received == connections * count end)
  done()
end

-- Subscribes one websocket to so many topics.
function roles.topics(count)
  machine()
  local ws = open()
  fence()
  collectgarbage()
  ready()
  for i = 1, count do
    assert(ws:subscribe(('topic %08d'):format(i)))
    if i % 100 == 0 then context:service(0) end
  end
  serve_until(function() return context:stats().cluster[1].queued_bytes == 0 end)
  for _ = 1, 300 do context:service(1) end -- the numbers of the topics are written, too
  fence()
  collectgarbage()
  done()
  serve_for_ever()
end

for i = 3, #arg do arg[i] = tonumber(arg[i]) or arg[i] end
roles[role]((table.unpack or unpack)(arg, 3))
