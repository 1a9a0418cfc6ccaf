-- SPDX-License-Identifier: MIT
-- What contexts of several machines send each other by Redis: each context here is a machine of its own.
local files = require 'spec.support.files'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local machines = require 'spec.support.machines'
local redis = require 'spec.support.redis'

describe('a cluster', function()
  leaks.check_each(before_each, after_each)
  local server
  setup(function() server = redis.start() end)
  teardown(redis.close_all)
  before_each(function() server:ask 'FLUSHALL' end)

  local function with_server(more)
    local config = { cluster = server:url() }
    for name, value in pairs(more or {}) do
      config[name] = value
    end
    return config
  end
  local function machine(group, more) return machines.add(group, with_server(more)) end
  local function connected(count, more) return machines.connected(count, with_server(more)) end

  it('carries what is published to those who are subscribed elsewhere, once', function()
    local group, a, b, c = connected(3)
    local here, ws = a.subscribe 'news'
    local there = b.subscribe 'news'
    local other = c.subscribe 'weather'
    server:wait_for_subscribers(group, 'news', 2)
    server:wait_for_subscribers(group, 'weather', 1)
    assert.same({ 0, 1 }, { a.ctx:publish('news', 'one') })
    here:expect_text 'one'
    assert.same({ 0, 0 }, { ws:publish('news', 'two', 1) })
    assert.same({ 0, 0 }, { c.ctx:publish('news', 'three') })
    there:expect_text 'one'
    there:expect_binary 'two'
    there:expect_text 'three'
    here:expect_text 'three'
    assert.same({ 0, 0 }, { a.ctx:publish('weather', 'sun') })
    other:expect_text 'sun'
  end)

  it('keeps the order of one sender', function()
    local group, a, b = connected(2)
    local there = b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    for i = 1, 1000 do
      a.ctx:publish('news', tostring(i))
    end
    for i = 1, 1000 do
      there:expect_text(tostring(i))
    end
  end)

  it('carries broadcasts, also to functions', function()
    local group, a, b = connected(2)
    local here, there, called = a.open 'p', b.open 'p', b.open 'q'
    assert.equal(0, a.ctx:broadcast('p', 'to p'))
    assert.equal(0, a.ctx:broadcast('q', 'to q'))
    here:expect_text 'to p'
    there:expect_text 'to p'
    called:expect_text 'q: to q'
  end)

  it('carries any topic and any data', function()
    local group, a, b = connected(2)
    local topics = { '', ' ', 'a\r\nb', 'a\0b', ('x'):rep(65536), 'ws:0:t:news', '*', '\255' }
    local c, ws = b.subscribe 'last'
    for _, topic in ipairs(topics) do
      assert.is_true(ws:subscribe(topic))
    end
    server:wait_for_subscribers(group, '*', 1)
    for i, topic in ipairs(topics) do
      assert.equal(0, (a.ctx:publish(topic, ('%d\n'):format(i))))
    end
    for i in ipairs(topics) do
      c:expect_text(('%d\n'):format(i))
    end
    for _, size in ipairs { 0, 1, 125, 65536, 2 ^ 20 } do
      assert.equal(0, (a.ctx:publish('last', ('y'):rep(size))))
      c:expect_text(('y'):rep(size))
    end
  end)

  it('takes nothing above max_message_size', function()
    local group, a, b = connected(2, { max_message_size = 1000 })
    local c = b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    assert.same({ -1, 'too large' }, { a.ctx:publish('news', ('x'):rep(1001)) })
    assert.same({ -1, 'too large' }, { a.ctx:broadcast('p', ('x'):rep(1001)) })
    assert.equal(0, (a.ctx:publish('news', ('x'):rep(1000))))
    c:expect_text(('x'):rep(1000))
  end)

  it('hears of topics only that have subscribers', function()
    local group, a = connected(1)
    local c, ws = a.subscribe 'news'
    local d, other = a.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    assert.is_true(ws:unsubscribe 'news')
    server:wait_for_subscribers(group, 'news', 1)
    d:finish(1000)
    server:wait_for_subscribers(group, 'news', 0)
    assert.is_true(ws:subscribe 'news')
    server:wait_for_subscribers(group, 'news', 1)
    assert.equal('closed', other:state())
    c:finish(1000)
    server:wait_for_subscribers(group, 'news', 0)
  end)

  it('delivers here while Redis is away, and says so', function()
    local group = {}
    local one = machine(group, { cluster = ('redis://127.0.0.1:%d'):format(loop.free_port()) })
    local c = one.subscribe 'news'
    one.wait_for 'down'
    assert.same({ 0, 1, 'local only' }, { one.ctx:publish('news', 'one') })
    assert.same({ 0, nil, 'local only' }, { one.ctx:broadcast('p', 'two') })
    c:expect_text 'one'
    c:expect_text 'two'
    assert.same({ 'down' }, one.events)
  end)

  it('goes on when Redis comes back, and tells of the gap', function()
    local own = redis.start()
    local group, a, b = connected(2, { cluster = own:url() })
    local c = b.subscribe 'news'
    own:kill()
    a.wait_for 'down'
    b.wait_for 'down'
    assert.same({ 0, 0, 'local only' }, { a.ctx:publish('news', 'lost') })
    own:run()
    a.wait_for 'gap'
    b.wait_for 'gap'
    assert.equal(0, (a.ctx:publish('news', 'one')))
    c:expect_text 'one'
    assert.same({ 'up', 'down', 'up', 'gap' }, b.events)
    own:kill()
  end)

  it('reports a wrong password once, without showing it', function()
    local own = redis.start { password = 'right' }
    local group, reports = {}, {}
    local one = machine(group, {
      cluster = ('redis://:guess@127.0.0.1:%d'):format(own.port),
      on_error = function(text) reports[#reports + 1] = text end,
    })
    one.wait_for 'down'
    assert.equal(1, #reports)
    assert.is_nil(reports[1]:find('guess', 1, true))
    assert.matches('127.0.0.1', reports[1])
    local other = machine(group, { cluster = own:url() })
    other.wait_for 'up'
    own:kill()
  end)

  it('says once what Redis refuses', function()
    local own = redis.start { args = '--rename-command PUBLISH other1 --rename-command HSET other2' }
    local group, reports = {}, {}
    local one = machine(group, {
      cluster = own:url(), history = { topics = { 'h/' } }, on_error = function(text) reports[#reports + 1] = text end,
    })
    one.wait_for 'up'
    one.subscribe('a\nb', { presence = 'ada' })
    local function publish()
      one.ctx:publish('news', 'x')
      one.ctx:publish('h/1', 'x')
    end
    publish()
    loop.serve_until(group, function() return #reports >= 3 end, 'the reports')
    for _ = 1, 10 do
      publish()
    end
    local answer
    one.ctx:presence('a\nb', function(members) answer = members end)
    loop.serve_until(group, function() return answer end, 'the answer')
    table.sort(reports)
    assert.equal(3, #reports)
    assert.matches("^Redis does not keep the history of 'h/1': ", reports[1])
    assert.matches("^Redis does not keep who is at 'a%?b': ERR unknown command 'HSET'$", reports[2])
    assert.matches("^Redis does not publish messages: ERR unknown command 'PUBLISH'$", reports[3])
    own:kill()
  end)

  it('needs no more rights than its documentation says', function()
    local own = redis.start()
    local line = files.read('docs/cluster.md'):match '\nuser (chat on >secret [^\n]*)\n'
    local words = {}
    for word in line:gmatch '%S+' do
      words[#words + 1] = word
    end
    assert.equal('OK', own:ask('ACL', 'SETUSER', (table.unpack or unpack)(words)))
    local url = ('redis://chat:secret@127.0.0.1:%d/3'):format(own.port)
    local group, a, b = machines.connected(2, { cluster = url, history = { topics = { 'h/' } } })
    local c, ws = a.subscribe('news', { presence = 'ada' })
    local is_ready, members, count
    ws:subscribe('h/1', { on_ready = function() is_ready = true end })
    loop.serve_until(group, function() return is_ready end, 'on_ready')
    assert.equal(0, (b.ctx:broadcast('p', 'one')))
    c:expect_text 'one'
    assert.equal(0, (b.ctx:publish('h/1', 'two')))
    c:expect_text 'two'
    loop.serve_until(group, function()
      b.ctx:presence('news', function(...) members = { ... } end)
      b.ctx:count('news', function(...) count = { ... } end)
      return members and members[1][1] and count and count[1] > 0
    end, 'presence')
    assert.same({ { { 'ada' } }, { 1 } }, { members, count })
    c:finish(1000)
    for _, one in ipairs { a, b } do
      one.ctx:destroy()
    end
    assert.equal('', own:ask('ACL', 'LOG'))
    own:kill()
  end)

  it('is one for each prefix and each database', function()
    local group, a, b, c = connected(3)
    local others = { machine(group, { cluster_prefix = 'other:' }), machine(group, { cluster = server:url(1) }) }
    for _, other in ipairs(others) do
      other.wait_for 'up'
      other.client = other.subscribe 'news'
    end
    local there = b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    assert.equal(0, (a.ctx:publish('news', 'one')))
    assert.equal(0, (c.ctx:broadcast('p', 'two')))
    there:expect_text 'one'
    there:expect_text 'two'
    for _, other in ipairs(others) do
      assert.equal(0, (other.ctx:publish('news', 'mine')))
      other.client:expect_text 'mine'
    end
  end)

  it('may have several servers, over which the topics are spread', function()
    local second = redis.start()
    local group, a, b = connected(2, { cluster = { server:url(), second:url() } })
    a.wait_for('up', 2)
    b.wait_for('up', 2)
    local c, ws = b.subscribe 'topic 0'
    for i = 1, 99 do
      assert.is_true(ws:subscribe('topic ' .. i))
    end
    local function channels(of) return select(2, of:ask('PUBSUB', 'CHANNELS', 'ws:0:t:*'):gsub('topic', '')) end
    loop.serve_until(group, function() return channels(server) + channels(second) == 100 end)
    assert.is_true(channels(server) > 30 and channels(second) > 30)
    for i = 0, 99 do
      assert.equal(0, (a.ctx:publish('topic ' .. i, tostring(i))))
    end
    local seen = {}
    for _ = 0, 99 do
      seen[#seen + 1] = tonumber(c:expect_text())
    end
    table.sort(seen)
    assert.equal(100, #seen)
    for i, number in ipairs(seen) do
      assert.equal(i - 1, number)
    end
    second:kill()
  end)

  it('is counted', function()
    local group, a, b = connected(2)
    local c = b.subscribe 'news'
    server:wait_for_subscribers(group, 'news', 1)
    local before = a.ctx:stats().cluster[1]
    a.ctx:publish('news', 'one')
    c:expect_text 'one'
    local sent, got = a.ctx:stats().cluster, b.ctx:stats().cluster[1]
    assert.equal(1, #sent)
    assert.equal(before.commands + 1, sent[1].commands)
    assert.equal(1, got.messages)
    assert.same({ server:url(), true, 0, 0, 0 }, { got.server, got.up, got.dropped, got.reconnects, got.gaps })
    assert.matches('\nlua_websockets_cluster_messages_total{server="1"} 1\n', b.ctx:metrics())
    local ctx = loop.context { protocols = { p = function() end } }
    assert.is_nil(ctx:stats().cluster)
    assert.is_nil(ctx:metrics():find 'cluster')
  end)

  it('does not keep a context from ending', function()
    local group, a = connected(1)
    local c = a.open()
    a.ctx:publish('news', 'one')
    a.ctx:shutdown(1e6)
    c:close()
    loop.serve_until(group, function() return loop.is_destroyed(a.ctx) end)
    assert.has_error(function() require('websockets').context({ cluster = server:url() }):run() end)
  end)
end)
