-- SPDX-License-Identifier: MIT
-- Topics that remember: everybody gets all of it in one order, and who comes back what was missed.
local client = require 'spec.support.client'
local histories = require 'spec.support.histories'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local machines = require 'spec.support.machines'
local redis = require 'spec.support.redis'

local expect, join, read = histories.expect, histories.join, histories.read

describe('the history of a topic', function()
  leaks.check_each(before_each, after_each)
  local server
  setup(function() server = redis.start() end)
  teardown(redis.close_all)
  before_each(function() server:ask 'FLUSHALL' end)

  local function connected(count, more)
    return machines.connected(count, histories.config(server:url(), more))
  end

  it('comes to all machines, this one too, in one order', function()
    local group, a, b = connected(2)
    local here, ws = join(group, a)
    local there = join(group, b)
    assert.same({ 0 }, { a.ctx:publish('h/1', 'one') })
    assert.same({ 0 }, { b.ctx:publish('h/1', 'two') })
    assert.same({ 0 }, { ws:publish('h/1', 'three') })
    local heard = {}
    for i = 1, 3 do
      heard[i] = read(there)
    end
    assert.equal('one', heard[1])
    table.sort(heard)
    assert.same({ 'one', 'three', 'two' }, heard)
    expect(here, 'one', 'two')
    assert.equal(0, a.ctx:publish('h/1', 'four'))
    expect(here, 'four') -- but not its own
    expect(there, 'four')
  end)

  it('gives all that was missed, and then what is live', function()
    local group, a, b = connected(2)
    local c, _, told = join(group, a)
    assert.same({ false, told[2] }, told)
    a.ctx:publish('h/1', 'one')
    local _, position = read(c)
    c:finish(1000)
    for i = 2, 50 do
      a.ctx:publish('h/1', tostring(i))
    end
    local again, _, answer = join(group, b, { since = position })
    assert.same({ true, position }, answer)
    a.ctx:publish('h/1', 'live')
    for i = 2, 50 do
      expect(again, tostring(i))
    end
    expect(again, 'live')
    again:ping 'x'
    again:expect_frame(client.PONG, 'x')
  end)

  it('misses nothing and doubles nothing under load', function()
    local group, a, b = connected(2, { size = 1000 })
    local last = 600
    local next_number = 1
    local publisher = a.ctx:every(0.001, function(timer)
      for _ = 1, 3 do
        if next_number > last then return timer:cancel() end
        assert.equal(0, a.ctx:publish('h/1', tostring(next_number)))
        next_number = next_number + 1
      end
    end)
    assert.is_not_nil(publisher)
    local c, _, told = join(group, b)
    local position, seen = told[2], nil
    local rounds = 0
    repeat
      for _ = 1, 20 do
        local data, at = read(c)
        local number = tonumber(data)
        if seen then assert.equal(seen + 1, number) end
        seen, position = number, at
        if number == last then break end
      end
      if seen < last then
        c:close()
        rounds = rounds + 1
        local answer
        c, _, answer = join(group, rounds % 2 == 0 and a or b, { since = position })
        assert.same({ true, position }, answer)
      end
    until seen == last
    assert.is_true(rounds >= 10)
  end)

  it('says why there is nothing old', function()
    local group, a, b = connected(2, { size = 5 })
    local c, _, begin = join(group, a)
    assert.equal(0, a.ctx:publish('h/1', 'one'))
    local _, position = read(c)
    local function why(since, machine)
      local other, _, told = join(group, machine or a, { since = since })
      other:finish(1000)
      assert.is_false(told[1])
      return told[3], told[2]
    end
    local newest
    for i = 2, 20 do
      a.ctx:publish('h/1', tostring(i))
      newest = select(2, read(c))
    end
    assert.equal('trimmed', (why(position)))
    assert.equal('malformed', (why 'nonsense'))
    assert.equal('beyond', (why((newest:gsub('%d+$', '1000')))))
    assert.equal('epoch', (why((newest:gsub('^%w+', 'other')))))
    server:ask 'FLUSHALL'
    assert.equal('expired', (why(newest, b)))
    a.ctx:publish('h/1', 'of another one')
    expect(c, 'of another one')
    assert.equal('epoch', (why(newest, b)))
    assert.is_string(begin[2])
  end)

  it('is forgotten after its time', function()
    local group, a = connected(1, { ttl = 0.05 })
    local c = join(group, a)
    a.ctx:publish('h/1', 'one')
    local _, position = read(c)
    a.ctx:publish('h/1', 'two')
    loop.serve_until(group, function() return server:ask('KEYS', 'ws:0:s:*') == '' end, 'the end of the history')
    local _, _, told = join(group, a, { since = position })
    assert.same({ false, 'expired' }, { told[1], told[3] })
  end)

  it('loses and doubles nothing when connections are lost', function()
    local group, a, b = connected(2)
    local c = join(group, b)
    for i = 1, 90 do
      if i == 20 then server:ask('CLIENT', 'KILL', 'TYPE', 'pubsub') end -- of both
      if i == 50 then server:ask('CLIENT', 'KILL', 'TYPE', 'normal') end
      loop.serve_until(group, function() return a.ctx:publish('h/1', tostring(i)) == 0 end, 'a publish')
      if i % 3 == 0 then loop.step(a.ctx, 0) end
    end
    for i = 1, 90 do
      expect(c, tostring(i))
    end
    a.ctx:publish('h/1', 'last')
    expect(c, 'last')
  end)

  it('is refused while Redis is away, and goes on after that', function()
    local own = redis.start()
    local group, a = machines.connected(1, histories.config(own:url()))
    local c = join(group, a)
    own:kill()
    a.wait_for 'down'
    assert.same({ -1, 'cluster down' }, { a.ctx:publish('h/1', 'lost') })
    local told
    local other = a.subscribe('h/1', { on_ready = function(_, ...) told = { ... } end })
    own:run()
    a.wait_for('up', 2)
    loop.serve_until(group, function() return told end, 'on_ready')
    assert.is_false(told[1])
    loop.serve_until(group, function() return a.ctx:publish('h/1', 'one') == 0 end, 'a publish')
    expect(c, 'one')
    expect(other, 'one')
    own:kill()
  end)

  it('is for the topics that begin so', function()
    local _, a = connected(1)
    local _, ws = a.subscribe 'news'
    for _, options in ipairs { { since = 'x' }, { on_ready = function() end } } do
      local ok, why = pcall(ws.subscribe, ws, 'news', options)
      assert.is_false(ok)
      assert.matches("options 'since' and 'on_ready' are for a topic with a history", why)
    end
    assert.same({ 'news' }, ws:topics())
    assert.same({ 0, 1 }, { a.ctx:publish('news', 'x') })
  end)

  it('takes any topic, and sends what wrap cannot do as it is', function()
    local group, reports = {}, {}
    local history = { topics = { '' }, wrap = function(data)
      if data == 'bad' then return {} end
      return data:upper()
    end }
    local a = machines.add(group, {
      cluster = server:url(), history = history, on_error = function(text) reports[#reports + 1] = text end,
    })
    a.wait_for 'up'
    for _, topic in ipairs { '', '\r\n\0', ('x'):rep(65536) } do
      local c = join(group, a, { topic = topic })
      a.ctx:publish(topic, 'good')
      c:expect_text 'GOOD'
      a.ctx:publish(topic, 'bad')
      c:expect_text 'bad'
      a.ctx:publish(topic, '')
      c:expect_text ''
    end
    assert.equal(3, #reports)
    assert.matches('the function history.wrap returned table', reports[1])
  end)

  it('goes on when others have written to its keys', function()
    local group, a = connected(1)
    local c, _, begin = join(group, a)
    a.ctx:publish('h/1', 'one')
    expect(c, 'one')
    for _, entry in ipairs { '1-5 h x d y', '2-0 x y', '2-7 h x d y', '3-1 h ' .. ('x'):rep(2000) .. ' d y', '9-9 a b' } do
      local words = {}
      for word in entry:gmatch '%S+' do
        words[#words + 1] = word
      end
      server:ask('XADD', 'ws:0:s:h/1', (table.unpack or unpack)(words))
    end
    server:ask('HSET', 'ws:0:m:h/1', 'offset', '9')
    local again = join(group, a, { since = begin[2] })
    expect(again, 'one')
    a.ctx:publish('h/1', 'ten')
    expect(c, 'ten')
    again:expect_close(1013) -- as it cannot have all
  end)

  it('begins again when it is asked to before it was ready', function()
    local group, a = connected(1)
    local c, _, begin = join(group, a)
    a.ctx:publish('h/1', 'one')
    expect(c, 'one')
    local other, ws = a.open(), a.sockets
    ws = ws[#ws]
    local told = {}
    local function subscribe(since, name)
      ws:subscribe('h/1', { since = since, on_ready = function(_, ...) told[#told + 1] = { name, ... } end })
    end
    subscribe('nonsense', 'first')
    subscribe(begin[2], 'second')
    expect(other, 'one')
    assert.same({ { 'second', true, begin[2] } }, told)
  end)

  it('forgets who leaves before it is ready', function()
    local group, a = connected(1)
    for i = 1, 20 do
      local c, ws = a.subscribe('h/1', { since = 'x', on_ready = function() error 'it has left' end })
      if i % 2 == 0 then
        ws:unsubscribe 'h/1'
      else
        ws:terminate()
      end
      c:close()
    end
    local c = join(group, a)
    a.ctx:publish('h/1', 'one')
    expect(c, 'one')
  end)
end)
