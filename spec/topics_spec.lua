-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

describe('topics', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)
  teardown(tls.remove_folders)

  -- A context with the protocols p and q, and `count` clients of p; setup(ws, number) for each.
  local function open(count, setup, config, options)
    local sockets, clients = {}, {}
    local copy = { protocols = { q = function(ws) sockets.q = ws end } }
    for name, value in pairs(config or {}) do
      copy[name] = value
    end
    copy.protocols.p = function(ws)
      sockets[#sockets + 1] = ws
      if setup then setup(ws, #sockets) end
    end
    local ctx, port = loop.context(copy)
    local settings = { protocol = 'p' }
    for name, value in pairs(options or {}) do
      settings[name] = value
    end
    for i = 1, count do
      clients[i] = client.open(ctx, port, settings)
    end
    return ctx, clients, sockets, port
  end

  local function subscribe_all(sockets, topic)
    for _, ws in ipairs(sockets) do
      assert.is_true(ws:subscribe(topic))
    end
  end

  local function publish(ctx, ...)
    local status, receivers = ctx:publish(...)
    assert.equal(0, status)
    return receivers
  end

  it('reach those that are subscribed, whatever their protocol, and no others', function()
    local ctx, clients, sockets, port = open(3)
    local other = client.open(ctx, port, 'q')
    assert.is_true(sockets[1]:subscribe 'news')
    assert.is_true(sockets[3]:subscribe 'news')
    assert.is_true(sockets.q:subscribe 'news')
    assert.is_true(sockets[2]:subscribe 'weather')
    assert.equal(3, publish(ctx, 'news', 'hello'))
    clients[1]:expect_text 'hello'
    clients[3]:expect_text 'hello'
    other:expect_text 'hello'
    for _, c in ipairs(clients) do
      c:expect_nothing()
    end
    other:expect_nothing()
  end)

  it('are left again', function()
    local ctx, clients, sockets = open(2)
    subscribe_all(sockets, 'a')
    assert.is_true(sockets[1]:unsubscribe 'a')
    assert.is_false(sockets[1]:unsubscribe 'a')
    assert.is_false(sockets[1]:unsubscribe 'never heard of')
    assert.equal(1, publish(ctx, 'a', 'x'))
    clients[2]:expect_text 'x'
    clients[1]:expect_nothing()
    assert.is_true(sockets[1]:subscribe 'a')
    assert.equal(2, publish(ctx, 'a', 'y'))
    clients[1]:expect_text 'y'
  end)

  it('are subscribed to once', function()
    local ctx, clients, sockets = open(1)
    assert.is_true(sockets[1]:subscribe 'a')
    assert.is_true(sockets[1]:subscribe 'a')
    assert.same({ a = 1 }, ctx:topics())
    assert.equal(1, publish(ctx, 'a', 'x'))
    clients[1]:expect_text 'x'
    clients[1]:expect_nothing()
    assert.is_true(sockets[1]:unsubscribe 'a')
    assert.is_false(sockets[1]:unsubscribe 'a')
  end)

  it('are any strings', function()
    local ctx, clients, sockets = open(1)
    local names = { '', '\0', 'a', 'a\0b', 'a\0c', '12', ('long'):rep(100000), '\255\254' }
    for i, name in ipairs(names) do
      assert.is_true(sockets[1]:subscribe(name))
      assert.equal(i, #sockets[1]:topics())
    end
    for i, name in ipairs(names) do
      assert.equal(1, publish(ctx, name, tostring(i)))
      clients[1]:expect_text(tostring(i))
      assert.equal(1, ctx:topics()[name])
    end
    assert.equal(1, publish(ctx, 12, 34)) -- numbers are converted
    clients[1]:expect_text '34'
    assert.equal(0, publish(ctx, 'a\0', 'x'))
  end)

  it('are there as long as they have subscribers', function()
    local ctx, _, sockets = open(3)
    assert.same({}, ctx:topics())
    subscribe_all(sockets, 'a')
    sockets[2]:subscribe 'b'
    assert.same({ a = 3, b = 1 }, ctx:topics())
    local own = sockets[2]:topics()
    table.sort(own)
    assert.same({ 'a', 'b' }, own)
    sockets[2]:unsubscribe 'b'
    sockets[2]:unsubscribe 'a'
    assert.same({ a = 2 }, ctx:topics())
    assert.same({}, sockets[2]:topics())
    sockets[1]:unsubscribe 'a'
    sockets[3]:unsubscribe 'a'
    assert.same({}, ctx:topics())
    assert.equal(0, publish(ctx, 'a', 'x'))
  end)

  it('take text and binary, of any size', function()
    local ctx, clients, sockets = open(2)
    subscribe_all(sockets, 'a')
    publish(ctx, 'a', '')
    publish(ctx, 'a', 'text', websockets.WRITE_TEXT)
    publish(ctx, 'a', '\0\255', websockets.WRITE_BINARY)
    for size = 125, 127 do
      publish(ctx, 'a', ('x'):rep(size))
    end
    local large = ('x'):rep(3e6)
    publish(ctx, 'a', large)
    for _, c in ipairs(clients) do
      c:expect_text ''
      c:expect_text 'text'
      c:expect_binary '\0\255'
      for size = 125, 127 do
        c:expect_text(('x'):rep(size))
      end
      c:expect_text(large)
      c:expect_nothing()
    end
  end)

  it('refuse other arguments', function()
    local ctx, _, sockets = open(1)
    local ws = sockets[1]
    for _, type in ipairs { 2, 3, 4, 5, 6, 64, -1 } do
      assert.error_matches(function() ctx:publish('a', 'x', type) end, 'WRITE_TEXT or WRITE_BINARY expected')
      assert.error_matches(function() ws:publish('a', 'x', type) end, 'WRITE_TEXT or WRITE_BINARY expected')
    end
    for _, value in ipairs { {}, true, print } do
      assert.has_error(function() ctx:publish(value, 'x') end)
      assert.has_error(function() ctx:publish('a', value) end)
      assert.has_error(function() ctx:publish('a', 'x', value) end)
      assert.has_error(function() ws:publish(value, 'x') end)
      assert.has_error(function() ws:publish('a', value) end)
      assert.has_error(function() ws:subscribe(value) end)
      assert.has_error(function() ws:unsubscribe(value) end)
    end
    assert.has_error(function() ctx:publish('a') end)
    assert.has_error(function() ws:subscribe() end)
    assert.has_error(function() ws.topics(ctx) end)
    ctx:destroy()
    for _, method in ipairs { 'publish', 'topics' } do
      assert.error_matches(function() ctx[method](ctx, 'a', 'x') end, 'websocket context destroyed')
    end
  end)

  it('leave out the websocket that publishes', function()
    local _, clients, sockets = open(3)
    subscribe_all(sockets, 'a')
    local status, receivers = sockets[2]:publish('a', 'x', websockets.WRITE_BINARY)
    assert.same({ 0, 2 }, { status, receivers })
    clients[1]:expect_binary 'x'
    clients[2]:expect_nothing()
    clients[3]:expect_binary 'x'
    sockets[2]:unsubscribe 'a' -- it need not be subscribed
    status, receivers = sockets[2]:publish('a', 'y')
    assert.same({ 0, 2 }, { status, receivers })
  end)

  -- Every way in which a websocket may end.
  local endings = {
    ['by a Close frame'] = function(c) c:send_close(1000) end,
    ['by a loss'] = function(c) c:reset() end,
    ['by close'] = function(_, ws) ws:close(1000) end,
    ['by terminate'] = function(_, ws) ws:terminate() end,
    ['by an error of the protocol'] = function(c) c:send '\255\255' end,
    ['by the end of its context'] = function(_, _, ctx) ctx:destroy() end,
  }
  for name, finish in pairs(endings) do
    it('are left when a websocket ends ' .. name .. ', before on_closed', function()
      local seen
      local ctx, clients, sockets = open(2)
      local ws = sockets[1]
      ws:subscribe 'a'
      ws:subscribe 'b'
      sockets[2]:subscribe 'b'
      ws:on_closed(function()
        seen = { #ws:topics(), select('#', ws:subscribe 'c'), (select(2, ws:subscribe 'c')),
          (select(2, ws:unsubscribe 'a')), (select(2, ws:publish('b', 'x'))) }
        if not loop.is_destroyed(ctx) then seen.topics = ctx:topics() end
      end)
      finish(clients[1], ws, ctx)
      loop.serve_until(ctx, function() return seen end, 'on_closed')
      assert.same({ 0, 2, 'closed', 'closed', 'closed', topics = seen.topics and { b = 1 } }, seen)
      if not loop.is_destroyed(ctx) then assert.equal(1, publish(ctx, 'b', 'x')) end
      assert.same({ nil, 'closed' }, { ws:subscribe 'a' })
      assert.same({ nil, 'closed' }, { ws:unsubscribe 'a' })
      assert.same({ -1, 'closed' }, { ws:publish('a', 'x') })
      assert.same({}, ws:topics())
    end)
  end

  it('get nothing to a websocket that is closing', function()
    local ctx, clients, sockets = open(2)
    subscribe_all(sockets, 'a')
    sockets[1]:write('', websockets.WRITE_CLOSE)
    assert.equal(1, publish(ctx, 'a', 'x'))
    assert.same({ nil, 'closed' }, { sockets[1]:subscribe 'b' })
    clients[1]:expect_close()
    clients[2]:expect_text 'x'
  end)

  it('are for websockets: in on_http it is as closed', function()
    local seen
    local ctx, port = loop.context { protocols = { p = function() end }, on_http = function(ws)
      seen = { select(2, ws:subscribe 'a'), select(2, ws:publish('a', 'x')) }
    end }
    local c = client.connect(ctx, port)
    c:send 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
    assert.equal(404, (c:read_response()))
    assert.same({ 'closed', 'closed' }, seen)
    assert.same({}, ctx:topics())
  end)

  -- Publishes to three clients, of which the second one's queue is full.
  local function overflow(policy)
    local closed = {}
    local ctx, clients, sockets = open(3, function(ws, number)
      ws:on_closed(function(_, code) closed[number] = code end)
    end, { max_backpressure = 50000, backpressure_policy = policy })
    subscribe_all(sockets, 'a')
    local written = 0
    while sockets[2]:write(('x'):rep(10000)) == 0 do
      written = written + 1
    end
    assert.equal(2, publish(ctx, 'a', ('y'):rep(10000)))
    assert.same({}, closed) -- never inside publish
    for _, number in ipairs { 1, 3 } do
      clients[number]:expect_text(('y'):rep(10000))
    end
    for _ = 1, written do
      clients[2]:expect_text()
    end
    return clients[2], closed, ctx
  end

  it('close a websocket whose queue is full', function()
    local c, closed, ctx = overflow(nil)
    c:expect_close(1013)
    loop.serve_until(ctx, function() return closed[2] end)
    assert.same({ [2] = 1013 }, closed)
  end)

  it('leave out a websocket whose queue is full, when they shall', function()
    local c, closed, ctx = overflow 'drop'
    c:expect_nothing()
    assert.equal(3, publish(ctx, 'a', 'later'))
    c:expect_text 'later'
    assert.same({}, closed)
  end)

  it('wait for the end of a message that is sent in fragments', function()
    local ctx, clients, sockets = open(1)
    sockets[1]:subscribe 'a'
    sockets[1]:write('be', websockets.WRITE_TEXT + websockets.WRITE_NO_FIN)
    publish(ctx, 'a', 'x')
    sockets[1]:write('gin', websockets.WRITE_CONTINUATION)
    clients[1]:expect_frame(client.TEXT, 'be', false)
    clients[1]:expect_frame(client.CONTINUATION, 'gin')
    clients[1]:expect_text 'x'
  end)

  it('survive clients that are gone', function()
    local closed = {}
    local ctx, clients, sockets = open(3, function(ws, number)
      ws:on_closed(function(_, code) closed[number] = code end)
    end)
    subscribe_all(sockets, 'a')
    clients[2]:reset()
    for _ = 1, 10 do
      publish(ctx, 'a', 'x')
    end
    assert.same({}, closed)
    loop.serve_until(ctx, function() return closed[2] end)
    assert.same({ [2] = 1006 }, closed)
    assert.same({ a = 2 }, ctx:topics())
    for _ = 1, 10 do
      clients[1]:expect_text 'x'
      clients[3]:expect_text 'x'
    end
  end)

  it('can be used in every callback', function()
    local ctx, clients, sockets
    ctx, clients, sockets = open(3, function(ws, number)
      ws:subscribe 'a'
      ws:on_receive(function(_, data)
        if data == 'leave' then
          ws:unsubscribe 'a'
        elseif data == 'close' then
          publish(ctx, 'a', 'before')
          ws:close(1000)
          publish(ctx, 'a', 'after')
        else
          ws:publish('a', number .. data)
        end
      end)
      ws:on_broadcast(function(_, data)
        ws:unsubscribe 'a'
        publish(ctx, 'a', data .. number)
        ws:subscribe 'a'
      end)
    end)
    clients[1]:text 'hello'
    clients[2]:expect_text '1hello'
    clients[3]:expect_text '1hello'
    ctx:broadcast('p', 'x')
    for number, c in ipairs(clients) do
      for other = 1, 3 do
        if other ~= number then c:expect_text('x' .. other) end
      end
    end
    clients[3]:text 'leave'
    clients[3]:expect_nothing()
    clients[1]:text 'close'
    clients[1]:expect_text 'before'
    clients[1]:expect_close(1000)
    clients[2]:expect_text 'before'
    clients[2]:expect_text 'after'
    clients[3]:expect_nothing()
    assert.same({ 'a' }, sockets[2]:topics())
  end)

  it('leave at once outside of the loop, and grouped within batch', function()
    local ctx, clients, sockets = open(1)
    sockets[1]:subscribe 'a'
    publish(ctx, 'a', 'at once')
    assert.equal(0, sockets[1]:buffered_amount())
    ctx:batch(function()
      publish(ctx, 'a', 'x')
      assert.is_true(sockets[1]:buffered_amount() > 0)
    end)
    assert.equal(0, sockets[1]:buffered_amount())
    clients[1]:expect_text 'at once'
    clients[1]:expect_text 'x'
  end)

  it('work over TLS', function()
    local ctx, clients, sockets = open(2, nil, tls.config(), { tls = {} })
    subscribe_all(sockets, 'a')
    assert.equal(2, publish(ctx, 'a', ('x'):rep(100000)))
    for _, c in ipairs(clients) do
      c:expect_text(('x'):rep(100000))
    end
  end)

  it('are those of one context', function()
    local one, clients, sockets = open(1)
    local other, other_clients, other_sockets = open(1)
    sockets[1]:subscribe 'a'
    other_sockets[1]:subscribe 'a'
    assert.equal(1, publish(one, 'a', 'x'))
    clients[1]:expect_text 'x'
    other_clients[1]:expect_nothing()
    one:destroy()
    assert.equal(1, publish(other, 'a', 'y'))
  end)

  it('are not subscribed to when reading the options closes the websocket', function()
    for _, close in ipairs { 'close', 'terminate', 'destroy' } do
      local ctx, _, sockets = open(1)
      local ws = sockets[1]
      local options = setmetatable({}, { __index = function(_, name)
        if name ~= 'on_ready' then return end
        if close == 'destroy' then
          ctx:destroy()
        else
          ws[close](ws)
        end
        ctx = nil
        collectgarbage()
      end })
      assert.same({ nil, 'closed' }, { ws:subscribe('a', options) })
      assert.same({}, ws:topics())
    end
  end)

  it('may be changed by finalizers while they are listed', function()
    local ctx, _, sockets = open(1)
    for i = 1, 300 do
      sockets[1]:subscribe('topic ' .. i)
    end
    local proxies = {}
    for i = 1, 100 do
      local proxy = newproxy and newproxy(true) or setmetatable({}, { __gc = function() end })
      local left = i
      getmetatable(proxy).__gc = function() sockets[1]:unsubscribe('topic ' .. left) end
      proxies[i] = newproxy and proxy or setmetatable({}, getmetatable(proxy))
    end
    proxies = nil -- luacheck: ignore
    for _ = 1, 20 do
      ctx:topics()
      sockets[1]:topics()
    end
    leaks.collect()
    assert.equal(200, #sockets[1]:topics())
  end)

  -- Names whose hashes by libstdc++ (MurmurHash2 of 64 bits, as std::hash has it) are all the same, as a client may
  -- choose them: each step can be undone. It takes integers of 64 bits.
  local colliding_names = (loadstring or load) [[
    local multiplier, inverse = 0xc6a4a7935bd1e995, 0x5f7a0ea7e59b19bd
    local function shift(value) return value ~ (value >> 47) end
    local names = {}
    for first = 1, ... do
      local hash = ((0xc70f6907 ~ (16 * multiplier)) ~ (shift(first * multiplier) * multiplier)) * multiplier
      names[first] = ('<i8i8'):pack(first, shift((hash ~ 42) * inverse) * inverse)
    end
    return names]]

  if colliding_names then
    it('cost hardly more when clients choose names that collide', function()
      local count = 6000
      local usual, colliding = {}, colliding_names(count)
      for i = 1, count do
        usual[i] = ('a name, %08d'):format(i)
      end
      local ctx, _, sockets = open(4)
      -- On a websocket of its own; of the processor.
      local function seconds(names)
        local ws = table.remove(sockets)
        local before = os.clock()
        for _, name in ipairs(names) do
          ws:subscribe(name)
        end
        assert.equal(count, ctx:stats().topics)
        ws:terminate()
        assert.equal(0, ctx:stats().topics)
        return os.clock() - before
      end
      local usual_s = math.min(seconds(usual), seconds(usual))
      local colliding_s = math.min(seconds(colliding), seconds(colliding))
      assert.is_true(colliding_s < 10 * usual_s + 0.01, ('%.4f s, else %.4f s'):format(colliding_s, usual_s))
    end)
  end

  it('reach the clients of a forked process, message by message', function()
    local server = remote.start()
    local port = server:call [[
      websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function(ws)
        ws:subscribe 'a'
        ws:subscribe 'b\0'
        ws:on_receive(function(_, data) ws:publish('a', data) end)
      end } }
      local port = tonumber((ctx:addresses()[1]:match '%d+$'))
      assert(ctx:fork_service_loop() == 0)
      return port]]
    local one, other = client.open({}, port, 'p'), client.open({}, port, 'p')
    one:expect_nothing()
    other:expect_nothing()
    local sizes = { 0, 1, 126, 65536, 3e6, 5 }
    for _, size in ipairs(sizes) do
      assert.equal(0, server:call("return ctx:publish('a', ('x'):rep(%d))", size))
      assert.equal(0, server:call("return ctx:publish('b\\0', ('y'):rep(%d), websockets.WRITE_BINARY)", size))
    end
    assert.equal(0, server:call "return ctx:publish('b', 'nobody')")
    assert.equal(0, server:call "return ctx:broadcast('p', 'broadcast')")
    for _, c in ipairs { one, other } do
      for _, size in ipairs(sizes) do
        c:expect_text(('x'):rep(size))
        c:expect_binary(('y'):rep(size))
      end
      c:expect_text 'broadcast'
    end
    one:text 'from the child'
    other:expect_text 'from the child'
    assert.is_nil(server:call 'return next(ctx:topics())')
    server:close()
  end)
end)
