-- SPDX-License-Identifier: MIT
-- How long service(0) takes at most while Redis, or the way to it, fails: for 50 clients that send as fast as they can, and
-- publishes, 2000 in a second. Usage: lua faults.lua [seconds]; LUA_CPATH is of the module. A table of milliseconds; those of
-- CPU time are what the machine's other work changes least.
local gettime = require('socket').gettime
local websockets = require 'websockets'

local seconds = tonumber(arg[1] or 5)
local port, pid = 10240 + math.floor(gettime() * 1000) % 20000, nil

-- What a command of the shell writes.
local function shell(...)
  local pipe = assert(io.popen(string.format(...)))
  local text = pipe:read '*a'
  pipe:close()
  return text
end
local function start()
  pid = shell([[redis-server --port %d --bind 127.0.0.1 --save '' --loglevel warning >/dev/null 2>&1 & echo $!]], port)
  while not shell('redis-cli -p %d ping 2>&1', port):find 'PONG' do end
end
local function signal(name) shell('kill -%s %d 2>&1', name, pid) end
local function kill_clients()
  for _, kind in ipairs { 'pubsub', 'normal' } do shell('redis-cli -p %d client kill type %s', port, kind) end
end

local function milliseconds(sorted, share) return sorted[math.ceil(#sorted * share)] * 1000 end

local function measure(what, fail)
  start()
  local state
  local context = websockets.context {
    listen = { '127.0.0.1:0' }, history = { topics = { 'h/' } },
    cluster = ('redis://127.0.0.1:%d'):format(port),
    on_cluster = function(now) state = now end,
    protocols = { p = function(ws)
      ws:subscribe 'news'
      ws:subscribe 'h/1'
      ws:on_receive(function(_, data) ws:write(data) end)
    end },
  }
  for _ = 1, 50 do
    local ws = context:connect('ws://' .. context:addresses()[1], { protocols = { 'p' } })
    ws:on_receive(function(_, data) if data == 'echo' then ws:write 'echo' end end)
    ws:write 'echo'
  end
  context:every(0.01, function()
    for _ = 1, 10 do
      context:publish('news', 'all')
      context:publish('h/1', 'all')
    end
  end)
  local begun = gettime()
  while state ~= 'up' or gettime() < begun + math.min(seconds, 1) do context:service(1) end
  fail()
  local cpu, wall = {}, {}
  begun = gettime()
  while gettime() < begun + seconds do
    local cpu_before, wall_before = os.clock(), gettime()
    context:service(0)
    cpu[#cpu + 1], wall[#wall + 1] = os.clock() - cpu_before, gettime() - wall_before
  end
  table.sort(cpu)
  table.sort(wall)
  print(('| %s | %.2f | %.2f | %.2f | %s |'):format(what, milliseconds(cpu, 1), milliseconds(cpu, 0.999),
    milliseconds(wall, 0.999), state))
  context:destroy()
  signal 'KILL'
end

print '| | longest, of CPU | 99.9th percentile, of CPU | 99.9th percentile | in the end |\n|---|---|---|---|---|'
measure('no fault', function() end)
measure('SIGSTOP', function() signal 'STOP' end)
measure('kill -9', function() signal 'KILL' end)
measure('kill -9, and started again', function()
  signal 'KILL'
  start()
end)
measure('CLIENT KILL', kill_clients)
measure('FLUSHALL', function() shell('redis-cli -p %d flushall', port) end)
