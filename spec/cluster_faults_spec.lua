-- SPDX-License-Identifier: MIT
-- What becomes of a cluster when its Redis server, or the way to it, fails: docs/cluster.md has the list.
local histories = require 'spec.support.histories'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local machines = require 'spec.support.machines'
local redis = require 'spec.support.redis'
local remote = require 'spec.support.remote'

local expect, join, publish, read = histories.expect, histories.join, histories.publish, histories.read

describe('a cluster whose Redis fails', function()
  leaks.check_each(before_each, after_each)
  after_each(redis.close_all)
  after_each(remote.close_all)

  -- `reports`: where errors go to.
  local function config(url, reports)
    local options = histories.config(url)
    options.on_error = reports and function(text) reports[#reports + 1] = text end or nil
    return options
  end
  local function connected(count, server) return machines.connected(count, config(server:url())) end

  -- A machine that is not served by others, and what it was told last of the cluster, and by on_error.
  local function lone(url)
    local group, reports, why = {}, {}, {}
    local more = config(url, reports)
    local one
    more.on_cluster = function(state, text)
      one.events[#one.events + 1] = state
      why[#why + 1] = text
    end
    one = machines.add(group, more)
    return group, one, reports, why
  end

  -- A server that was killed may have lost its last moments, whatever it has kept: so positions of before mean nothing.
  for _, args in ipairs { '--appendonly yes --appendfsync always', '' } do
    it('goes on when Redis comes back ' .. (args == '' and 'without data' or 'with its data'), function()
      local server = redis.start { args = args }
      local group, a, b = connected(2, server)
      local c = join(group, a)
      publish(group, a, 'h/1', 'one')
      local _, position = read(c)
      server:kill()
      a.wait_for 'down'
      b.wait_for 'down'
      assert.same({ -1, 'cluster down' }, { a.ctx:publish('h/1', 'lost') })
      server:run()
      a.wait_for 'gap'
      b.wait_for 'gap'
      local d, _, told = join(group, b, { since = position })
      assert.same({ false, 'epoch' }, { told[1], told[3] })
      publish(group, a, 'h/1', 'two')
      publish(group, a, 'h/1', 'three')
      local _, new = read(d)
      local numbers = {}
      for i, at in ipairs { position, new } do
        numbers[i] = at:match '%d+$'
      end
      assert.same({ '1', args == '' and '1' or '2' }, numbers)
      expect(d, 'three')
      expect(c, 'two', 'three')
      local again, _, whole = join(group, a, { since = new })
      assert.same({ true, new }, whole)
      expect(again, 'three')
      assert.equal('up down up gap gap', table.concat(a.events, ' ')) -- the second one is of the history
    end)
  end

  it('delivers late what is sent while Redis stands still', function()
    local server = redis.start()
    local group, a, b = connected(2, server)
    local c, d = join(group, b), b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    local function serve_all() return a.ctx:stats().cluster[1].queued_bytes == 0 end
    loop.serve_until(group, serve_all)
    remote.stop(server.pid)
    local numbers = {}
    for i = 1, 100 do
      numbers[i] = tostring(i)
      assert.equal(0, (a.ctx:publish('news', numbers[i])))
      assert.equal(0, (a.ctx:publish('h/1', numbers[i])))
      loop.step(a.ctx, 0)
    end
    server:signal 'CONT'
    expect(c, (table.unpack or unpack)(numbers))
    for _, number in ipairs(numbers) do
      d:expect_text(number)
    end
    assert.same({ 'up' }, a.events)
    assert.same({ 'up' }, b.events)
  end)

  it('takes no more than cluster_queue while Redis stands still', function()
    local server = redis.start()
    local more = config(server:url())
    more.cluster_queue = 10000
    local group, a = machines.connected(1, more)
    local here = a.subscribe 'news'
    remote.stop(server.pid)
    local data, sent = ('x'):rep(1000), 0
    local answer
    repeat
      answer = { a.ctx:publish('news', data) }
      sent = sent + 1
      loop.step(a.ctx, 0)
    until answer[3]
    assert.same({ 0, 1, 'local only' }, answer)
    assert.same({ -1, 'cluster down' }, { a.ctx:publish('h/1', data) })
    assert.is_true(a.ctx:stats().cluster[1].dropped >= 2)
    assert.is_true(a.ctx:stats().cluster[1].queued_bytes <= 10000)
    server:signal 'CONT'
    for _ = 1, sent do
      here:expect_text(data)
    end
    loop.serve_until(group, function() return #{ a.ctx:publish('news', 'again') } == 2 end, 'room')
  end)

  it('goes on after FLUSHALL', function()
    local server = redis.start()
    local group, a, b = connected(2, server)
    local c, d = join(group, a), b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    publish(group, b, 'h/1', 'one')
    local _, position = read(c)
    server:ask 'FLUSHALL'
    publish(group, b, 'h/1', 'two')
    expect(c, 'two')
    assert.equal(0, (a.ctx:publish('news', 'three')))
    d:expect_text 'three'
    local _, _, told = join(group, b, { since = position })
    assert.same({ false, 'epoch' }, { told[1], told[3] })
  end)

  for _, kind in ipairs { 'normal', 'pubsub' } do
    it('reconnects when its ' .. kind .. ' connection is lost', function()
      local server = redis.start()
      local group, a, b = connected(2, server)
      local c, d = join(group, b), b.subscribe 'news'
      server:wait_for_subscribers(group, 'news', 1)
      for round = 0, 2 do
        for i = round * 20 + 1, round * 20 + 20 do
          publish(group, a, 'h/1', tostring(i))
          assert.equal(0, (a.ctx:publish('news', tostring(i))))
        end
        for i = round * 20 + 1, round * 20 + 20 do
          expect(c, tostring(i))
          d:expect_text(tostring(i))
        end
        if round < 2 then
          server:ask('CLIENT', 'KILL', 'TYPE', kind)
          a.wait_for('gap', round + 1)
          b.wait_for('gap', round + 1)
        end
      end
      assert.same({ 'up', 'down', 'up', 'gap', 'down', 'up', 'gap' }, b.events)
    end)
  end

  it('loses what waited for a machine that read too slowly, but no history', function()
    local server = redis.start { args = '--client-output-buffer-limit pubsub 300000 0 0' }
    local group, a, b = connected(2, server)
    local c, d = join(group, b), b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    local data = ('x'):rep(100000)
    local others = { a.ctx } -- b stands still
    local count = 0
    repeat
      count = count + 1
      if count <= 60 then publish(others, a, 'h/1', tostring(count)) end
      publish(others, a, 'news', data)
      loop.step(a.ctx, 0)
    until count >= 60 and server:ask('PUBSUB', 'NUMSUB', 'ws:0:t:news'):match '(%d+)$' == '0'
    b.wait_for 'gap'
    for i = 1, 60 do
      expect(c, tostring(i))
    end
    publish(group, a, 'news', 'again')
    local received = 0
    while d:expect_text() ~= 'again' do
      received = received + 1
    end
    assert.is_true(received < count)
    assert.same({ 'up' }, a.events)
  end)

  it('waits while Redis is loading', function()
    local server = redis.start { args = '--rdbcompression no' }
    server:ask('EVAL', "for i = 1, 2000 do redis.call('SET', i, string.rep('x', 2000)) end", 0)
    server:ask 'SAVE'
    server:kill()
    server.args = server.args .. ' --key-load-delay 20000 --loading-process-events-interval-bytes 1024'
    server:run()
    local group, one, reports, why = lone(server:url())
    one.wait_for 'down'
    assert.equal('OK', server:ask('CONFIG', 'SET', 'key-load-delay', 0))
    one.wait_for 'up'
    assert.same({ 'down', 'up' }, one.events) -- not before it has all
    assert.matches('LOADING', why[1])
    assert.same({}, reports)
    publish(group, one, 'h/1', 'one')
  end)

  it('keeps what Redis has no memory for until it has', function()
    local server = redis.start()
    local group, one, reports = lone(server:url())
    one.wait_for 'up'
    local c = join(group, one)
    publish(group, one, 'h/1', 'before')
    expect(c, 'before')
    server:ask('CONFIG', 'SET', 'maxmemory', 1)
    local taken = 0
    local why
    loop.serve_until(group, function()
      local status
      status, why = one.ctx:publish('h/1', tostring(taken + 1))
      if status == 0 then taken = taken + 1 end
      return status ~= 0
    end, 'the refusal')
    assert.equal('cluster down', why)
    assert.is_true(taken > 0)
    assert.same({ 0, 0 }, { one.ctx:publish('news', 'goes on') })
    server:ask('CONFIG', 'SET', 'maxmemory', 0)
    local got = {}
    for i = 1, taken do
      got[i] = tonumber((read(c)))
    end
    table.sort(got)
    for i, number in ipairs(got) do
      assert.equal(i, number)
    end
    publish(group, one, 'h/1', 'after')
    expect(c, 'after')
    assert.is_true(#reports > 0)
    for _, report in ipairs(reports) do
      assert.matches('^Redis does not keep .*OOM', report)
    end
    assert.same({ 'up' }, one.events)
  end)

  it('says once what it may not do', function()
    local server = redis.start()
    server:ask('ACL', 'SETUSER', 'chat', 'on', '>secret', 'allkeys', 'allchannels', '+@all', '-subscribe')
    local _, one, reports = lone(('redis://chat:secret@127.0.0.1:%d'):format(server.port))
    one.wait_for 'down'
    assert.equal(1, #reports)
    assert.matches("NOPERM .*'subscribe'", reports[1])
    local c = one.subscribe 'news'
    assert.same({ 0, 1, 'local only' }, { one.ctx:publish('news', 'one') })
    c:expect_text 'one'
    assert.same({ -1, 'cluster down' }, { one.ctx:publish('h/1', 'one') })
  end)

  it('says once that a database is not there', function()
    local server = redis.start()
    local _, one, reports = lone(server:url(99))
    one.wait_for 'down'
    assert.equal(1, #reports)
    assert.matches('DB index is out of range', reports[1])
  end)

  it('says once that the server is one of a Redis Cluster', function()
    local servers = {}
    for i = 1, 2 do
      local bus = loop.free_port()
      servers[i] = redis.start { args = '--cluster-enabled yes --cluster-port ' .. bus }
      servers[i].bus = bus
      servers[i]:ask('CLUSTER', 'ADDSLOTSRANGE', (i - 1) * 8192, i * 8192 - 1)
    end
    servers[1]:ask('CLUSTER', 'MEET', '127.0.0.1', servers[2].port, servers[2].bus)
    for _, server in ipairs(servers) do
      loop.serve_until({}, function() return server:ask('CLUSTER', 'INFO'):find 'cluster_state:ok' end, 'the cluster')
    end
    local group, reports = {}, {}
    for _, server in ipairs(servers) do
      machines.add(group, config(server:url(), reports)).subscribe 'h/1'
    end
    -- Of some keys or of the keys of a script; and a history may say so, too.
    local function count(server)
      local found = 0
      for _, report in ipairs(reports) do
        if report:find('^127%.0%.0%.1:' .. server.port .. ': MOVED ') or
          report:find('^127%.0%.0%.1:' .. server.port .. ': CROSSSLOT ') then found = found + 1 end
      end
      return found
    end
    for _, server in ipairs(servers) do
      loop.serve_until(group, function() return count(server) == 1 end, 'a report')
    end
  end)

  it('does not take a replica for its server', function()
    local master = redis.start { args = '--repl-diskless-sync-delay 0' }
    local replica = redis.start { args = '--replicaof 127.0.0.1 ' .. master.port }
    loop.serve_until({}, function() return replica:ask('ROLE'):find 'connected' end, 'the replica')
    local group, one, reports, why = lone(replica:url())
    one.wait_for 'down'
    assert.matches('it is a replica', why[1])
    replica:ask('REPLICAOF', 'NO', 'ONE')
    one.wait_for 'up'
    publish(group, one, 'h/1', 'one')
    assert.same({}, reports)
  end)

  it('leaves a server that becomes a replica', function()
    local master, server = redis.start(), redis.start()
    local group, one, reports = lone(server:url())
    one.wait_for 'up'
    server:ask('REPLICAOF', '127.0.0.1', master.port)
    assert.equal(0, one.ctx:publish('h/1', 'one')) -- which it refuses
    one.wait_for 'down'
    assert.same({ -1, 'cluster down' }, { one.ctx:publish('h/1', 'two') })
    server:ask('REPLICAOF', 'NO', 'ONE')
    one.wait_for 'gap'
    publish(group, one, 'h/1', 'three')
    local function messages()
      local all = {}
      for data in server:ask('XRANGE', 'ws:0:s:h/1', '-', '+'):gmatch '\nd\n(%a+)' do
        all[#all + 1] = data
      end
      return table.concat(all, ' ')
    end
    loop.serve_until(group, function() return messages() == 'one three' end, 'what was on its way, once')
    assert.same({}, reports)
  end)

  -- --- The way to it ---

  -- A proxy, in a process of its own, and its URL.
  local function proxy_to(server)
    local process = remote.start()
    local port = loop.free_port()
    process:call([[
      proxy = require('spec.support.tcp_proxy').new(%d, %d)
      contexts = { proxy }
    ]], port, server.port)
    return process, ('redis://127.0.0.1:%d'):format(port)
  end

  it('works over a way that takes 300 ms', function()
    local server = redis.start()
    local process, url = proxy_to(server)
    process:call 'proxy.delay_s = 0.15'
    local group, a, b = machines.connected(2, config(url))
    local c, d = join(group, b), b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    for i = 1, 50 do
      assert.equal(0, (a.ctx:publish('news', tostring(i))))
      assert.equal(0, (a.ctx:publish('h/1', tostring(i))))
      loop.step(a.ctx, 0)
    end
    for i = 1, 50 do
      d:expect_text(tostring(i))
      expect(c, tostring(i))
    end
    assert.is_true(a.ctx:stats().cluster[1].probe_seconds >= 0.3)
  end)

  it('loses and doubles nothing of a history when answers are cut off', function()
    local server = redis.start()
    local process, url = proxy_to(server)
    local group, a, b = machines.connected(2, config(url))
    local c = join(group, b)
    local number, cuts = 0, 0
    for cut = 1, 4000, 307 do
      process:call('proxy.cut_after = %d', cut)
      server:ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
      for _ = 1, 3 do
        loop.step(a.ctx, 5)
        loop.step(b.ctx, 5)
        number = number + (a.ctx:publish('h/1', tostring(number + 1)) == 0 and 1 or 0)
      end
      cuts = cuts + 1
    end
    process:call 'proxy.cut_after = nil'
    publish(group, a, 'h/1', 'last')
    for i = 1, number do
      expect(c, tostring(i))
    end
    expect(c, 'last')
    assert.is_true(cuts > 10)
  end)

  -- --- What clients do ---

  it('hears of no topic that was left', function()
    local server = redis.start()
    local group, a = connected(1, server)
    local c, ws = a.subscribe 'stays'
    for round = 1, 5 do
      for i = 1, 400 do
        ws:subscribe('topic ' .. i)
        if i % 100 == 0 then loop.step(a.ctx, 0) end
        if i % 3 == round % 3 then ws:unsubscribe('topic ' .. i) end
      end
      for i = 400, 1, -1 do
        ws:unsubscribe('topic ' .. i)
      end
    end
    loop.serve_until(group, function()
      return server:ask('PUBSUB', 'CHANNELS', 'ws:0:t:*') == 'ws:0:t:stays'
    end, 'the end of the topics')
    c:finish(1000)
  end)

  it('gives clients that reconnect at random all of a history', function()
    local server = redis.start()
    local more = config(server:url())
    more.history.size = 10000
    local group, a, b = machines.connected(2, more)
    local all, last, next_number = {}, 400, 1
    local function connect(one, machine)
      one.client = machine.subscribe('h/1', { since = one.position, on_ready = function(_, recovered, position, why)
        assert.equal(one.position ~= nil, recovered, why)
        one.position = position
        one.is_ready = true
      end })
    end
    for i = 1, 30 do
      all[i] = { seen = 0 }
      connect(all[i], i % 2 == 0 and a or b)
    end
    loop.serve_until(group, function()
      for _, one in ipairs(all) do
        if not one.is_ready then return false end
      end
      return true
    end, 'on_ready')
    local function take(one)
      while one.client:pump() do end
      while one.client.buffered > 0 do
        local data, position = read(one.client)
        assert.equal(one.seen + 1, tonumber(data))
        one.seen, one.position = tonumber(data), position
      end
    end
    local reconnects = 0
    loop.serve_until(group, function()
      for _ = 1, 4 do
        if next_number <= last and a.ctx:publish('h/1', tostring(next_number)) == 0 then
          next_number = next_number + 1
        end
      end
      local is_done = true
      for i, one in ipairs(all) do
        take(one)
        if one.seen < last then
          is_done = false
          if math.random(10) == 1 then
            one.client:close()
            connect(one, math.random(2) == 1 and a or b)
            reconnects = reconnects + 1
          end
        end
        if i % 10 == 0 then loop.step(a.ctx, 0) end
      end
      return is_done
    end, 'all messages')
    assert.is_true(reconnects > 100)
  end)
end)
