-- SPDX-License-Identifier: MIT
-- Who waits for messages while others come in between: strangers that resume, finalizers, nested calls of service.
local client = require 'spec.support.client'
local collector = require 'spec.support.collector'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

local is_old = _VERSION == 'Lua 5.1' and not rawget(_G, 'jit') -- whose coroutines cannot yield within pcall

-- What is called when it is collected.
local function finalizer(fn)
  if not rawget(_G, 'newproxy') then return setmetatable({}, { __gc = fn }) end
  local proxy = newproxy(true) -- luacheck: ignore
  getmetatable(proxy).__gc = fn
  return proxy
end

describe('waiting for messages', function()
  leaks.check_each(before_each, after_each)

  local function open(config)
    local c, ws, ctx = pair.open(config)
    ws:receive(0) -- nothing is lost from now on
    return c, ws, ctx
  end

  -- A thread that receives, and what it got as a list.
  local function receive_all(ctx, ws)
    local got = {}
    local thread = ctx:spawn(function()
      while true do
        local data, why = ws:receive()
        if not data then
          got[#got + 1] = why
          return
        end
        got[#got + 1] = data
      end
    end)
    loop.step(ctx)
    return thread, got
  end

  local function has(got, count)
    return function() return #got >= count end
  end

  -- Until a message was taken, and its receiver waits again, if it does.
  local function deliver(c, text)
    c:text(text)
    c:expect_nothing()
  end

  it('may be cancelled in itself, and fail', function()
    local errors = {}
    local c, ws, ctx = open { on_error = function(text) errors[#errors + 1] = text end }
    local thread
    thread = ctx:spawn(function()
      ws:receive()
      ws:receive()
      thread:cancel()
      error 'oops'
    end)
    loop.step(ctx)
    deliver(c, '1')
    deliver(c, '2')
    loop.serve_until(ctx, function() return thread:status() == 'ended' end)
    assert.same({ nil, 'failed' }, { (thread:join()), (select(2, thread:join())) })
    assert.equal(1, #errors)
    assert.matches('oops', errors[1])
  end)

  it('tells the error of a plain coroutine', function()
    local errors = {}
    local c, ws, ctx = open { on_error = function(text) errors[#errors + 1] = text end }
    coroutine.wrap(function()
      ws:receive()
      ws:receive()
      error 'oops'
    end)()
    loop.step(ctx)
    deliver(c, '1')
    deliver(c, '2')
    loop.serve_until(ctx, function() return #errors > 0 end)
    assert.equal(1, #errors)
    assert.matches('oops', errors[1])
  end)

  it('goes on when one that has received before is cancelled', function()
    local c, ws, ctx = open()
    local before = ctx:spawn(function()
      ws:receive()
      coroutine.yield()
    end)
    loop.step(ctx)
    deliver(c, '1')
    local _, got = receive_all(ctx, ws)
    deliver(c, '2')
    before:cancel()
    deliver(c, '3')
    loop.serve_until(ctx, has(got, 2))
    assert.same({ '2', '3' }, got)
  end)

  it('is cancelled at the first of two websockets, when it has been at the second meanwhile', function()
    local opened = {}
    local ctx, port = pair.context(nil, function(ws) if opened then opened[#opened + 1] = ws end end)
    local c1, c2 = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
    local ws1, ws2 = opened[1], opened[2]
    opened = nil
    local thread = ctx:spawn(function()
      ws1:receive()
      ws2:receive()
      return ws1:receive()
    end)
    loop.step(ctx)
    deliver(c1, '1')
    deliver(c2, '2')
    assert.equal('waiting', thread:status())
    thread:cancel()
    loop.serve_until(ctx, function() return thread:status() == 'ended' end)
    assert.same({ true, nil, 'cancelled' }, { thread:join() })
  end)

  it('leaves no cancellation behind to who comes next', function()
    local c, ws, ctx = open()
    local co
    local thread = ctx:spawn(function()
      co = coroutine.running()
      ws:receive()
      if is_old then ws:receive() else pcall(ws.receive, ws) end
      coroutine.yield()
    end)
    loop.step(ctx)
    deliver(c, '1')
    ctx:after(0, function()
      thread:cancel()
      coroutine.resume(co)
      co = nil
    end)
    loop.serve_until(ctx, function() return co == nil end)
    local _, got = receive_all(ctx, ws)
    deliver(c, '2')
    deliver(c, '3')
    loop.serve_until(ctx, has(got, 2))
    assert.same({ '2', '3' }, got)
  end)

  it('is over when the coroutine is closed', function()
    if not coroutine.close then return end
    local c, ws, ctx = open()
    local co
    ctx:spawn(function()
      co = coroutine.running()
      ws:receive()
      ws:receive()
    end)
    loop.step(ctx)
    deliver(c, '1')
    coroutine.close(co)
    local _, got = receive_all(ctx, ws)
    deliver(c, '2')
    deliver(c, '3')
    loop.serve_until(ctx, has(got, 2))
    assert.same({ '2', '3' }, got)
  end)

  it('goes on in coroutines of which each serves the context', function()
    local _, _, ctx = open()
    local ended = 0
    for _ = 1, 5 do
      ctx:spawn(function()
        ctx:service(0)
        websockets.sleep(0)
        ctx:service(0)
        ended = ended + 1
      end)
    end
    loop.serve_until(ctx, function() return ended == 5 end)
  end)

  it('keeps a plain coroutine that runs while another one comes to wait', function()
    local c, ws, ctx = open()
    local got
    coroutine.wrap(function()
      ws:receive()
      local data = ws:receive()
      coroutine.wrap(function() ws:receive() end)()
      leaks.collect()
      for i = 1, 100 do coroutine.create(function() return i end) end
      got = data .. 'x'
    end)()
    loop.step(ctx)
    deliver(c, '1')
    deliver(c, '2')
    loop.serve_until(ctx, function() return got end)
    assert.equal('2x', got)
  end)

  -- Finalizers run while messages are taken.
  local function collect_while_taking(act, config)
    local c, ws, ctx = open(config)
    local thread, got = receive_all(ctx, ws)
    deliver(c, '0')
    local sent = {}
    for i = 1, 100 do
      sent[i] = client.frame(client.BINARY, i .. ':' .. ('\255'):rep(i * 7))
    end
    c:send(table.concat(sent))
    collector.be_eager()
    collectgarbage()
    local ran, is_over = 0, false
    for _ = 1, 50 do
      for _ = 1, 20 do
        finalizer(function()
          if is_over then return end
          ran = ran + 1
          act(ws, got, ctx)
        end)
      end
      loop.step(ctx, 1)
    end
    is_over = true
    collector.be_usual()
    assert.is_true(ran > 0)
    return got, thread
  end

  local function expect_all(got)
    for i = 1, 100 do
      assert.equal(i .. ':' .. ('\255'):rep(i * 7), got[i + 1])
    end
  end

  it('gets all in turn when finalizers serve the context', function()
    expect_all(collect_while_taking(function(_, _, ctx) ctx:service(0) end))
  end)

  it('gets all, each once, when finalizers take some', function()
    local got = collect_while_taking(function(ws, got)
      local ok, data = pcall(ws.receive, ws, 0)
      if ok and data then got[#got + 1] = data end
    end)
    table.sort(got, function(a, b) return tonumber(a:match '^%d+') < tonumber(b:match '^%d+') end)
    expect_all(got)
  end)

  it('goes on where a finalizer has resumed it, and raises where it would wait in the finalizer itself', function()
    local c, ws, ctx = open()
    local got = {}
    for _, wait in ipairs { function() return ws:receive() end, function() return ws:receive(100) end,
      function() return select(2, ws:wait_closed(0.0001)) end } do
      local co = coroutine.create(function()
        for _ = 1, 3 do
          got[#got + 1] = (wait())
        end
      end)
      local failures = {}
      local outer = coroutine.create(function() -- in which the finalizers run
        finalizer(function()
          assert(coroutine.resume(co))
          local ok, why = pcall(ws.drain, ws, 0) -- which is so already
          failures[#failures + 1] = tostring(ok) .. tostring(why)
          ok, why = pcall(ws.wait_closed, ws, 0.001)
          failures[#failures + 1] = tostring(ok) .. why
        end)
        leaks.collect()
      end)
      assert(coroutine.resume(outer))
      assert.equal(2, #failures)
      assert.equal('truetrue', failures[1])
      assert.matches('^false.*attempt to yield', failures[2])
      local expected = #got + 3
      for i = 1, 3 do
        c:text(i .. '')
        c:expect_nothing()
      end
      loop.serve_until(ctx, has(got, expected))
      assert.equal('dead', coroutine.status(co))
    end
    for i = 1, 6 do
      assert.equal((i - 1) % 3 + 1 .. '', got[i])
    end
  end)

  -- Between the arrival of a message and the turn of its receiver.
  it('raises for who comes before the turn of whom a message has come for', function()
    for _, seconds in ipairs { false, 100 } do
      for rounds = 0, 1 do
        local c, ws, ctx = open()
        local got, failures = {}, {}
        local function try()
          for _, wait in ipairs { function() return ws:receive() end, function() return ws:receive(0) end } do
            local ok, why = pcall(wait)
            failures[#failures + 1] = tostring(ok) .. tostring(why)
          end
        end
        local thread = ctx:spawn(function()
          for _ = 0, rounds do
            got[#got + 1] = ws:receive(seconds or nil)
          end
        end)
        loop.step(ctx)
        for i = 1, rounds do
          deliver(c, i .. '')
        end
        ws:on_pong(function() -- the message has come by then, in the same round
          ctx:spawn(is_old and coroutine.wrap(try) or try)
          try()
        end)
        c:send(client.frame(client.TEXT, 'x') .. client.frame(client.PONG, ""))
        loop.serve_until(ctx, function() return thread:status() == 'ended' end)
        assert.equal('x', got[#got])
        assert.equal(4, #failures)
        for _, why in ipairs(failures) do
          assert.matches('^false.*somebody else waits', why)
        end
      end
    end
  end)

  it('ends when finalizers end the websocket', function()
    local got, thread = collect_while_taking(function(ws) ws:terminate() end)
    assert.equal('closed', got[#got])
    assert.equal('ended', thread:status())
  end)

  it('goes to the function that finalizers set', function()
    local errors = {}
    expect_all(collect_while_taking(function(ws, list)
      ws:on_receive(function(_, data) list[#list + 1] = data end)
    end, { on_error = function(text) errors[#errors + 1] = text end }))
    for _, text in ipairs(errors) do
      assert.matches('on_receive', text) -- of who has waited
    end
  end)
end)
