-- SPDX-License-Identifier: MIT
-- Faults of a cluster that take their time, and its largest loads. Not in the gate.
local histories = require 'spec.support.histories'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local machines = require 'spec.support.machines'
local redis = require 'spec.support.redis'
local remote = require 'spec.support.remote'
local workers = require 'spec.support.workers'

local config, join, publish = histories.config, histories.join, histories.publish

describe('a cluster', function()
  leaks.check_each(before_each, after_each)
  after_each(redis.close_all)
  after_each(remote.close_all)
  after_each(workers.close_all)

  local function expect(c, first, last)
    for i = first, last do
      assert.equal(tostring(i), c:expect_text():match '|(.*)$')
    end
  end
  local function ask(group, ctx, method, topic)
    local answer
    ctx[method](ctx, topic, function(...) answer = { ... } end)
    loop.serve_until(group, function() return answer end, method)
    return answer[1]
  end
  local function wait_for_members(group, ctx, topic, members)
    loop.serve_until(group, function()
      return table.concat(ask(group, ctx, 'presence', topic) or { 'cluster down' }, ' ') == members
    end, 'members ' .. members)
  end

  -- Redis stands still, or the way to it does: the probe tells, within 50 seconds.
  local function stands_still(server, url, stop, continue)
    local group, a, b = machines.connected(2, config(url))
    local c = join(group, b)
    for i = 1, 10 do
      publish(group, a, 'h/1', tostring(i))
    end
    expect(c, 1, 10)
    stop()
    for i = 11, 20 do
      assert.equal(0, a.ctx:publish('h/1', tostring(i))) -- it waits
    end
    a.wait_for 'down'
    b.wait_for 'down'
    assert.same({ -1, 'cluster down' }, { a.ctx:publish('h/1', 'refused') })
    continue()
    a.wait_for 'gap'
    b.wait_for 'gap'
    for i = 21, 30 do
      publish(group, a, 'h/1', tostring(i))
    end
    expect(c, 11, 30)
    assert.is_string(server:ask 'PING')
  end

  it('gives up a server that stands still, and loses and doubles nothing of a history', function()
    local server = redis.start()
    stands_still(server, server:url(), function() remote.stop(server.pid) end, function() server:signal 'CONT' end)
  end)

  it('gives up a way that stands still, and loses and doubles nothing of a history', function()
    local server = redis.start()
    local process, port = remote.start(), loop.free_port()
    process:call([[
      proxy = require('spec.support.tcp_proxy').new(%d, %d)
      contexts = { proxy }
    ]], port, server.port)
    stands_still(server, ('redis://127.0.0.1:%d'):format(port), function() process:call 'proxy.is_stalled = true' end,
      function() process:call 'proxy.is_stalled = false' end)
  end)

  it('notices by its probe that its server has become a replica', function()
    local server, master = redis.start(), redis.start()
    local _, a = machines.connected(1, config(server:url()))
    server:ask('REPLICAOF', '127.0.0.1', master.port)
    a.wait_for 'down'
    server:ask('REPLICAOF', 'NO', 'ONE')
    a.wait_for 'gap'
  end)

  it('is asked who is there again when Redis has forgotten it', function()
    local server = redis.start()
    local group, a, b = machines.connected(2, config(server:url()))
    local clients = {}
    for i = 1, 1000 do
      clients[i] = a.subscribe('topic ' .. i, { presence = 'ada' })
    end
    local topics = { 'topic 1', 'topic 500', 'topic 1000' }
    for _, topic in ipairs(topics) do
      wait_for_members(group, b.ctx, topic, 'ada')
    end
    server:ask 'FLUSHALL'
    for _, topic in ipairs(topics) do
      wait_for_members(group, b.ctx, topic, 'ada')
    end
  end)

  it('forgets a worker that was killed, and is joined by the next one', function()
    local server = redis.start()
    local started = workers.start(([[
      finish(context {
        cluster = %q,
        on_cluster = function(state) note('cluster', state) end,
      }:run { workers = 2, shutdown = 1 })
    ]]):format(server:url()))
    started:wait_for('^cluster up$', 2)
    local clients = started:open_each(2)
    local group, other = machines.connected(1, { cluster = server:url() })
    for id, name in ipairs { 'ada', 'grace' } do
      clients[id]:text(('ws:subscribe("room", { presence = %q })'):format(name))
    end
    wait_for_members(group, other.ctx, 'room', 'ada grace')
    clients[2]:text('return process_id and 0 or io.open("/proc/self/stat"):read("*l"):match "^%d+"')
    remote.signal(tonumber(clients[2]:expect_text()), 'KILL')
    clients[2]:expect_loss()
    started:wait_for('^cluster up$', 3)
    other.ctx:publish('room', 'still there')
    clients[1]:expect_text 'still there'
    wait_for_members(group, other.ctx, 'room', 'ada') -- its lease is over
    started:signal 'TERM'
    started:wait_for '^run returned'
  end)

  it('follows Sentinel to the next master', function()
    local master = redis.start()
    local replica = redis.start { args = '--replicaof 127.0.0.1 ' .. master.port }
    loop.serve_until({}, function()
      return master:ask('INFO', 'replication'):find 'state=online'
    end, 'the replica')
    local path = os.tmpname()
    local file = assert(io.open(path, 'w'))
    file:write(([[
sentinel monitor chat 127.0.0.1 %d 1
sentinel down-after-milliseconds chat 1000
sentinel failover-timeout chat 10000
]]):format(master.port))
    file:close()
    local sentinel = redis.start { config = path, args = '--sentinel' }
    loop.serve_until({}, function() return sentinel:ask('SENTINEL', 'REPLICAS', 'chat'):find 'slave' end, 'its replica')
    local group, a, b = machines.connected(2, config(('redis+sentinel://127.0.0.1:%d/chat'):format(sentinel.port)))
    local c, d = join(group, b), b.subscribe 'news'
    master:wait_for_subscribers(group, 'news', 1)
    publish(group, a, 'h/1', '1')
    local position = c:expect_text():match '^[^|]+'
    loop.serve_until(group, function() return replica:ask('KEYS', 'ws:0:s:*') ~= '' end, 'replication')
    master:kill()
    a.wait_for 'gap'
    b.wait_for 'gap'
    assert.matches('^master', replica:ask 'ROLE')
    publish(group, a, 'h/1', '2')
    expect(c, 2, 2)
    assert.equal(0, (a.ctx:publish('news', 'again')))
    d:expect_text 'again'
    local told
    b.subscribe('h/1', { since = position, on_ready = function(_, ...) told = { ... } end })
    loop.serve_until(group, function() return told end, 'on_ready')
    assert.same({ false, 'epoch' }, { told[1], told[3] })
    os.remove(path)
  end)

  it('waits for the name of its server', function()
    local library = io.popen('ls /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so 2>/dev/null'):read '*l'
    local server = redis.start()
    local hosts = os.tmpname()
    local process = remote.start { command = ('env LD_PRELOAD=%s NSS_WRAPPER_HOSTS=%s'):format(assert(library), hosts) }
    process:call([[
      states, reports = {}, {}
      context = require('websockets').context {
        cluster = 'redis://redis.test:%d',
        on_cluster = function(state) states[#states + 1] = state end,
        on_error = function(text) reports[#reports + 1] = text end,
        protocols = { p = function() end },
        listen = { '127.0.0.1:0' },
      }
      contexts = { context }
    ]], server.port)
    local function wait_for(state)
      loop.serve_until({}, function() return process:call 'return states[#states]' == state end, state)
    end
    wait_for 'down'
    local file = assert(io.open(hosts, 'w'))
    file:write '127.0.0.1 redis.test\n'
    file:close()
    os.execute('touch -d 2038-01-01 ' .. hosts) -- it is read anew when its time, in seconds, is another one
    wait_for 'up'
    assert.equal(0, process:call 'return #reports')
    os.remove(hosts)
  end)

  it('forgets 100 000 topics that came and went', function()
    local server = redis.start()
    local group, a = machines.connected(1, { cluster = server:url() })
    local _, ws = a.subscribe 'stays'
    local resident = {}
    for round = 1, 3 do
      for i = 1, 100000 do
        ws:subscribe('topic ' .. i)
        if i % 100 == 0 then loop.step(a.ctx, 0) end
      end
      loop.serve_until(group, function() return server:ask('PUBSUB', 'NUMSUB', 'ws:0:t:topic 100000'):find '1$' end)
      for i = 1, 100000 do
        ws:unsubscribe('topic ' .. i)
        if i % 100 == 0 then loop.step(a.ctx, 0) end
      end
      loop.serve_until(group, function()
        return server:ask('PUBSUB', 'CHANNELS', 'ws:0:t:*') == 'ws:0:t:stays'
      end, 'the end of the topics')
      loop.serve_until(group, function() return server:ask('KEYS', 'ws:0:n:*') == 'ws:0:n:stays' end, 'no numbers')
      resident[round] = leaks.resident_kb()
    end
    assert.is_true(resident[3] < resident[2] * 1.1 + 1024)
  end)

  it('gives each of 8000 clients that reconnect at random all of a history', function()
    local COUNT, LAST = 8000, 100
    local server = redis.start()
    local more = config(server:url())
    more.history.size = 10000
    more.protocols = {
      p = function(ws)
        ws:on_receive(function(_, position)
          ws:subscribe('h/1', { since = position ~= '' and position or nil, on_ready = function(_, recovered, now)
            ws:write((recovered and 'whole' or 'new') .. ' ' .. now)
          end })
        end)
      end,
    }
    local group, a, b = machines.connected(2, more)
    local process = remote.start { ctx = group }
    process:call([[
      local websockets = require 'websockets'
      context = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
      contexts = { context }
      ready, done, faults, reconnects = 0, 0, {}, -%d
      local ports = { %d, %d }
      for i = 1, %d do
        local seen, position = 0, nil
        local ws = context:connect('ws://127.0.0.1:' .. ports[i %% 2 + 1], {
          protocols = { 'p' }, connect_timeout = 1000, reconnect = { delay = 0.1, max_delay = 0.5 },
        })
        ws:on_open(function()
          reconnects = reconnects + 1
          ws:write(position or '')
        end)
        ws:on_receive(function(_, data)
          local state, now = data:match '^(%%a+) (.*)$'
          if state then
            if state == 'new' and position then faults[#faults + 1] = 'a hole behind ' .. seen end
            if not position then ready = ready + 1 end
            position = position or now
            return
          end
          local at, number = data:match '^(.-)|(%%d+)$'
          if tonumber(number) ~= seen + 1 then faults[#faults + 1] = seen .. ' then ' .. number end
          seen, position = tonumber(number), at
          if seen == %d then done = done + 1 end
        end)
      end
    ]], COUNT, a.port, b.port, COUNT, LAST)
    local function wait_for(name, value, busy)
      local counted = -1
      process:begin('return ' .. name)
      loop.serve_until(group, function()
        if process:has_ended() then
          counted = process:result()
          if counted < value then process:begin('return ' .. name) end
        end
        if busy then busy() end
        return counted >= value
      end, ('%d %s'):format(value, name))
    end
    wait_for('ready', COUNT)
    local number = 0
    wait_for('done', COUNT, function()
      if number < LAST and a.ctx:publish('h/1', tostring(number + 1)) == 0 then number = number + 1 end
      if number == LAST then return end
      for _, one in ipairs { a, b } do
        for ws in one.ctx:websockets 'p' do
          if math.random(200) == 1 then ws:terminate() end
        end
      end
    end)
    assert.equal('', process:call 'return table.concat(faults, "; ", 1, math.min(#faults, 10))')
    assert.is_true(process:call 'return reconnects' > COUNT / 10)
    process:close()
  end)
end)
