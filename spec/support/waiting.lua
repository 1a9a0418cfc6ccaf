-- SPDX-License-Identifier: MIT
-- Waiting in the threads of other loops: where a loop has some of its own (loop.other.talk), they are suspended and
-- resumed by it; elsewhere they are plain coroutines, which the context resumes. See adapter.lua.

local assert = require 'luassert'
local busted = require 'busted'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

local it = busted.it

local wait_s = 20 * loop.time_factor -- for what comes

local function echo(ws)
  while true do
    local data, type = ws:receive()
    if not data then return end
    ws:write(data, type)
  end
end

local function url_of(port) return ('ws://127.0.0.1:%d/'):format(port) end

local function connect(port)
  local ws = loop.other.connect(url_of(port))
  assert.is_true(ws:wait_open(wait_s))
  return ws
end

local function finish(ws)
  ws:close()
  assert.same({ true, 1005, '' }, { ws:wait_closed(wait_s) })
end

-- Destroys the loop's context of clients, and the default one.
local function forget_contexts()
  for _, connect_to in ipairs { loop.other.connect, websockets.connect } do
    connect_to(url_of(1)):context():destroy()
  end
end

-- Runs functions in threads of the loop, until all have returned.
local function run(ctx, ...)
  local left = select('#', ...)
  for _, fn in ipairs { ... } do
    loop.other.thread(function()
      fn()
      left = left - 1
    end)
  end
  loop.serve_until(ctx, function() return left == 0 end, 'the end of the threads')
  forget_contexts()
end

-- The loop's own means to wait still work in the running thread.
local function expect_native()
  if not loop.other.talk then return end
  local port = loop.free_port()
  local stop = loop.other.echo(port)
  assert.equal('native', loop.other.talk(port, 'native'))
  stop()
end

return function()
  it('has threads wait for all that there is', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    run(ctx, function()
      local co = coroutine.running()
      local ws = connect(port)
      expect_native()
      for _, data in ipairs { 'one', 'two', ('x'):rep(300000) } do
        ws:write(data, websockets.WRITE_BINARY)
        assert.same({ data, websockets.WRITE_BINARY }, { ws:receive(wait_s) })
      end
      assert.same({ nil, 'timeout' }, { ws:receive(0.001) })
      ws:write 'three'
      assert.equal('three', (ws:receive()))
      ws:write(('x'):rep(2 ^ 20))
      assert.is_true(ws:drain(0, wait_s))
      assert.equal(2 ^ 20, #ws:receive())
      assert.is_true(websockets.sleep(0.001))
      expect_native()
      finish(ws)
      assert.equal(co, (coroutine.running()))
      assert.same({ nil, 'closed', 1005, '' }, { ws:receive() })
    end)
  end)

  it('has threads wait for messages of a server', function()
    local ws
    local c, _, ctx = pair.open(nil, function(opened)
      ws = opened
      ws.talks = true
      loop.other.thread(function()
        local data, type = opened:receive() -- from now on nothing is lost
        while data do
          opened:write(data, type)
          data, type = opened:receive(wait_s)
        end
        opened.talks = false
      end)
    end)
    loop.step(ctx, 0)
    for i = 1, 3 do
      c:text(i .. '')
      c:expect_text(i .. '')
    end
    c:finish(1000)
    loop.serve_until(ctx, function() return not ws.talks end)
  end)

  it('serves many threads at once', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    local threads = {}
    for i = 1, 50 do
      threads[i] = function()
        local ws = connect(port)
        for n = 1, 5 do
          local data = i .. ' ' .. n
          ws:write(data)
          assert.equal(data, (ws:receive(n % 2 == 0 and wait_s or nil)))
        end
        websockets.sleep(0.001 * (i % 5))
        finish(ws)
      end
    end
    run(ctx, (table.unpack or unpack)(threads))
  end)

  it('lets a coroutine in a thread wait by itself', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    run(ctx, function()
      local ws = connect(port)
      local got = {}
      coroutine.wrap(function()
        for i = 1, 3 do
          ws:write(i .. '')
          got[i] = ws:receive(wait_s)
        end
        got.is_done = true
      end)()
      while not got.is_done do
        websockets.sleep(0.001)
      end
      assert.same({ '1', '2', '3', is_done = true }, got)
      expect_native()
      ws:write 'outside'
      assert.equal('outside', (ws:receive(wait_s)))
      finish(ws)
    end)
  end)

  it('lets a spawned coroutine wait within', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    run(ctx, function()
      local ws = connect(port)
      local thread = ctx:spawn(function()
        ws:write 'spawned'
        return ws:receive(wait_s)
      end)
      assert.same({ true, 'spawned', websockets.WRITE_TEXT }, { thread:join(wait_s) })
      finish(ws)
    end)
  end)

  it('has threads wait for one another', function()
    local ctx = pair.context()
    local thread
    run(ctx, function()
      thread = ctx:spawn(function()
        local _, why = websockets.sleep(1e6)
        return why
      end)
      assert.same({ true, 'cancelled' }, { thread:join() })
    end, function()
      while not thread do
        websockets.sleep(0.001)
      end
      websockets.sleep(0.001)
      thread:cancel()
    end)
  end)

  it('lets one of two receive', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    local ws
    run(ctx, function()
      ws = connect(port)
      assert.equal('for the first', (ws:receive(wait_s)))
      finish(ws)
    end, function()
      while not ws do
        websockets.sleep(0.001)
      end
      websockets.sleep(0.001)
      assert.has_error(function() assert(select(2, pcall(ws.receive, ws)) == nil) end)
      ws:write 'for the first'
    end)
  end)

  it('leaves nobody waiting where a thread cannot be suspended', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    run(ctx, function()
      local ws = connect(port)
      local failed, why = pcall(table.sort, { 2, 1 }, function() return ws:receive() == 'x' end)
      assert.is_false(failed)
      assert.matches('yield', why)
      local got
      coroutine.wrap(function() got = ws:receive() end)()
      ws:write 'for another'
      while not got do
        websockets.sleep(0.001)
      end
      assert.equal('for another', got)
      finish(ws)
    end)
  end)

  it('ends all waits with the context', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    local waiting, log = 0, {}
    local function begin(name, fn)
      return function()
        local ws = connect(port)
        waiting = waiting + 1
        log[name] = { fn(ws) }
      end
    end
    local clients
    run(ctx, begin('receive', function(ws) return ws:receive() end),
      begin('wait_closed', function(ws) return ws:wait_closed() end),
      begin('join', function(ws)
        clients = ws:context()
        return clients:spawn(function() return websockets.sleep(1e6) end):join() -- of which either may end first
      end),
      function()
        while waiting < 3 do
          websockets.sleep(0.001)
        end
        clients:destroy()
      end)
    assert.same({ nil, 'closed', 1001, '' }, log.receive)
    assert.same({ true, 1001, '' }, log.wait_closed)
    assert.equal('cancelled', log.join[3] or log.join[2])
  end)

  it('serves the default context when a thread waits in it', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    run(ctx, function()
      assert.is_true(websockets.sleep(0.001))
      local ws = websockets.connect(url_of(port))
      ws:write 'hello'
      assert.equal('hello', (ws:receive(wait_s)))
      finish(ws)
      ws:context():destroy()
      assert.is_true(websockets.sleep(0.001))
    end)
  end)

  it('serves along who waits outside of coroutines', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    local ticks = 0
    ctx:every(0.001, function() ticks = ticks + 1 end)
    local ws = ctx:connect(url_of(port))
    assert.is_true(ws:wait_open(wait_s))
    ws:write 'hello'
    assert.equal('hello', (ws:receive(wait_s)))
    assert.same({ nil, 'timeout' }, { ws:receive(0.01) })
    assert.is_true(ticks > 0)
    finish(ws)
  end)

  it('does not let callbacks wait', function()
    local ctx, port = pair.context(nil, websockets.handler(echo))
    run(ctx, function()
      local ws = connect(port)
      local why
      ws:context():after(0, function() why = select(2, pcall(ws.receive, ws)) end)
      while not why do
        websockets.sleep(0.001)
      end
      assert.matches('context:spawn', why)
      finish(ws)
    end)
  end)
end
