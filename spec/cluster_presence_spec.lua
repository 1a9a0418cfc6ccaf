-- SPDX-License-Identifier: MIT
-- Who is there, on all machines of a cluster.
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local machines = require 'spec.support.machines'
local redis = require 'spec.support.redis'

describe('the presence of a cluster', function()
  leaks.check_each(before_each, after_each)
  local server
  setup(function() server = redis.start() end)
  teardown(redis.close_all)
  before_each(function() server:ask 'FLUSHALL' end)

  local function connected(count) return machines.connected(count, { cluster = server:url() }) end

  -- What presence() or count() tells.
  local function ask(group, ctx, method, topic)
    local answer
    ctx[method](ctx, topic, function(...) answer = { ... } end)
    loop.serve_until(group, function() return answer end, method)
    return answer
  end
  -- Until the names are these.
  local function wait_for_members(group, ctx, topic, members)
    loop.serve_until(group, function()
      return table.concat(ask(group, ctx, 'presence', topic)[1], ' ') == members
    end, 'members ' .. members)
  end
  local function wait_for_count(group, ctx, topic, count)
    loop.serve_until(group, function() return ask(group, ctx, 'count', topic)[1] == count end, 'count ' .. count)
  end

  it('has the names of all machines, each once and in order', function()
    local group, a, b = connected(2)
    a.subscribe('room', { presence = 'grace' })
    b.subscribe('room', { presence = 'ada' })
    b.subscribe('room', { presence = 'grace' })
    b.subscribe 'room'
    a.subscribe('other', { presence = 'alan' })
    for _, one in ipairs { a, b } do
      wait_for_members(group, one.ctx, 'room', 'ada grace')
      wait_for_members(group, one.ctx, 'other', 'alan')
      wait_for_members(group, one.ctx, 'nowhere', '')
      wait_for_count(group, one.ctx, 'room', 4)
      wait_for_count(group, one.ctx, 'other', 1)
      wait_for_count(group, one.ctx, 'nowhere', 0)
    end
  end)

  it('knows at once what has changed here', function()
    local group, a = connected(1)
    local _, ws = a.subscribe('room', { presence = 'ada' })
    assert.same({ { 'ada' } }, ask(group, a.ctx, 'presence', 'room'))
    local count = ask(group, a.ctx, 'count', 'room')
    assert.same({ 1 }, count)
    assert.equal('1', tostring(count[1])) -- an integer
    ws:subscribe('room', { presence = 'grace' })
    assert.same({ { 'grace' } }, ask(group, a.ctx, 'presence', 'room'))
    ws:unsubscribe 'room'
    assert.same({ {} }, ask(group, a.ctx, 'presence', 'room'))
    assert.same({ 0 }, ask(group, a.ctx, 'count', 'room'))
  end)

  it('ends with the subscription, the websocket, the context', function()
    local group, a, b = connected(2)
    local _, ws = a.subscribe('room', { presence = 'one' })
    local second = a.subscribe('room', { presence = 'two' })
    local third = a.subscribe('room', { presence = 'three' })
    wait_for_members(group, b.ctx, 'room', 'one three two')
    ws:unsubscribe 'room'
    wait_for_members(group, b.ctx, 'room', 'three two')
    second:finish(1000)
    wait_for_members(group, b.ctx, 'room', 'three')
    wait_for_count(group, b.ctx, 'room', 1)
    a.ctx:destroy()
    wait_for_members({ b.ctx }, b.ctx, 'room', '')
    wait_for_count({ b.ctx }, b.ctx, 'room', 0)
    third:close()
  end)

  it('leaves nothing in Redis', function()
    local group, a = connected(1)
    local c = a.subscribe('room', { presence = 'ada' })
    wait_for_count(group, a.ctx, 'room', 1)
    c:finish(1000)
    wait_for_count(group, a.ctx, 'room', 0)
    a.ctx:destroy()
    loop.serve_until({}, function() return server:ask('KEYS', '*') == '' end, 'no keys')
  end)

  it('takes any names', function()
    local group, a = connected(1)
    local names = { '', '\0', '\r\n', 'a b', '\255', ('x'):rep(1000), '/' }
    local clients = {}
    for i, name in ipairs(names) do
      clients[i] = a.subscribe('\0\r\n', { presence = name })
    end
    table.sort(names)
    assert.same({ names }, ask(group, a.ctx, 'presence', '\0\r\n'))
  end)

  it('says so when the names are too many to be told', function()
    local group, a = machines.connected(1, { cluster = server:url(), max_message_size = 100 })
    a.subscribe 'room'
    server:ask('EVAL', [[for i = 1, 50000 do redis.call('HSET', KEYS[1], ARGV[1] .. '/' .. i, 1) end]], 1, 'ws:0:p:room',
      server:ask('HKEYS', 'ws:0:l:'))
    assert.same({ nil, 'ERR too many names', 5 }, ask(group, a.ctx, 'presence', 'room'))
    assert.same({ 1 }, ask(group, a.ctx, 'count', 'room'))
    assert.same({ 'up' }, a.events)
  end)

  it('is told again when Redis does not forget a connection that was lost', function()
    local group, a = connected(1)
    local _, ws = a.subscribe('room', { presence = 'ada' })
    wait_for_members(group, a.ctx, 'room', 'ada')
    server:ask('CLIENT', 'PAUSE', 100000, 'WRITE')
    ws:unsubscribe 'room'
    a.ctx:presence('room', function() end) -- what has changed is sent now
    loop.step(a.ctx, 0)
    server:ask('CLIENT', 'KILL', 'TYPE', 'normal')
    server:ask('CLIENT', 'UNPAUSE')
    a.wait_for 'gap'
    loop.serve_until(group, function() return server:ask('EXISTS', 'ws:0:p:room', 'ws:0:n:room') == '0' end, 'its end')
  end)

  it('is told again when Redis has lost it', function()
    local own = redis.start()
    local group, a, b = machines.connected(2, { cluster = own:url() })
    local c = a.subscribe('room', { presence = 'ada' })
    wait_for_members(group, b.ctx, 'room', 'ada')
    own:kill()
    b.wait_for 'down'
    for _, method in ipairs { 'presence', 'count' } do
      local answer = ask(group, b.ctx, method, 'room')
      assert.same({ nil, 'cluster down', answer[3] }, answer)
      assert.is_true(answer[3] > 0)
    end
    own:run()
    a.wait_for 'gap'
    b.wait_for 'gap'
    wait_for_members(group, b.ctx, 'room', 'ada')
    wait_for_count(group, b.ctx, 'room', 1)
    c:close()
    own:kill()
  end)

  it('is for a cluster', function()
    local ctx = loop.context { protocols = { p = function() end } }
    local why = 'websocket context has no option \'cluster\''
    assert.has_error(function() ctx:presence('room', print) end, why)
    assert.has_error(function() ctx:count('room', print) end, why)
    local _, a = connected(1)
    assert.has_error(function() a.ctx:count 'room' end)
    local _, ws = a.subscribe 'room'
    for options, pattern in pairs {
      [{ presence = {} }] = "option 'presence' is table, expected a string",
      [{ presense = 'x' }] = "option 'presense' is unknown, did you mean 'presence'",
    } do
      local ok, text = pcall(ws.subscribe, ws, 'room', options)
      assert.is_false(ok)
      assert.matches(pattern, text)
    end
  end)
end)
