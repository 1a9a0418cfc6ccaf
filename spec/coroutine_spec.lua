-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

describe('a coroutine', function()
  leaks.check_each(before_each, after_each)

  local function run(body)
    local thread = coroutine.create(body)
    while coroutine.status(thread) ~= 'dead' do
      local ok, message = coroutine.resume(thread)
      if not ok then error(message, 0) end
    end
  end

  it('can make a context, serve it, and do everything else', function()
    run(function()
      local closed
      local c, ws, ctx = pair.open(nil, function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
        ws:on_closed(function(_, code) closed = code end)
      end)
      coroutine.yield()
      c:text 'x'
      c:expect_text 'x'
      coroutine.yield()
      ctx:broadcast('p', 'y')
      c:expect_text 'y'
      ws:close(1000)
      assert.equal(1000, closed)
      ctx:destroy()
    end)
  end)

  it('may end before the context does', function()
    local c, ws, ctx
    run(function()
      c, ws, ctx = pair.open(nil, function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
      end)
    end)
    leaks.collect()
    c:text 'x'
    c:expect_text 'x'
    ctx:broadcast('p', 'y')
    c:expect_text 'y'
    run(function()
      c:text 'z'
      c:expect_text 'z'
      ws:close()
    end)
    c:expect_close(nil)
  end)

  it('can serve while others do, in turns', function()
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local threads = {}
    for i = 1, 5 do
      threads[i] = coroutine.create(function()
        local c = client.open(ctx, port, 'p')
        for n = 1, 10 do
          c:text(i .. ':' .. n)
          coroutine.yield()
          c:expect_text(i .. ':' .. n)
        end
      end)
    end
    for _ = 1, 11 do
      for i = 1, 5 do
        assert(coroutine.resume(threads[i]))
      end
    end
    for i = 1, 5 do
      assert.equal('dead', coroutine.status(threads[i]))
    end
  end)

  it('can be run within a callback, and serve there', function()
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data)
        run(function()
          coroutine.yield()
          loop.step(ctx, 0)
          ws:write(data)
          coroutine.yield()
          ws:close(1000)
        end)
      end)
    end)
    local c = client.open(ctx, port, 'p')
    c:text 'x'
    c:expect_text 'x'
    c:expect_close(1000)
  end)

  it('can wait for a callback to resume it', function()
    local waiting
    local c = pair.open(nil, function(ws)
      local thread = coroutine.create(function()
        for i = 1, 3 do
          local data = coroutine.yield()
          ws:write(i .. data)
        end
        ws:close(1000)
      end)
      coroutine.resume(thread)
      ws:on_receive(function(_, data)
        waiting = coroutine.status(thread)
        assert(coroutine.resume(thread, data))
      end)
    end)
    c:text 'a'
    c:text 'b'
    c:expect_text '1a'
    c:expect_text '2b'
    c:text 'c'
    c:expect_text '3c'
    c:expect_close(1000)
    assert.equal('suspended', waiting)
  end)

  it('that is abandoned does no harm', function()
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    do
      local thread = coroutine.wrap(function()
        loop.step(ctx, 0)
        ws:on_broadcast(function() ws:write 'from the abandoned' end)
        coroutine.yield()
      end)
      thread()
    end
    leaks.collect()
    ctx:broadcast('p', 'x')
    c:expect_text 'from the abandoned'
  end)

  -- Returns a function that has a coroutine of its own call fn(…), and returns what that returned. Then the coroutine
  -- has ended, or will wait for ever, and is collected.
  local function apart(ends)
    return function(fn, ...)
      local ok, result = coroutine.resume(coroutine.create(function(...)
        local result = fn(...)
        if not ends then coroutine.yield(result) end
        return result
      end), ...)
      if not ok then error(result, 0) end
      leaks.collect()
      return result
    end
  end

  for what, ends in pairs { ['that ends'] = true, ['that waits for ever'] = false } do
    local run_apart = apart(ends)

    -- A context whose on_http and on_upgrade let everybody wait, by functions that coroutines have made.
    local function open()
      local waiting, log = {}, {}
      local function wait(object)
        waiting[#waiting + 1] = object
        return object:defer()
      end
      local result = run_apart(function()
        local ctx, port = pair.context({ on_http = wait, on_upgrade = wait }, function(ws)
          log.ws = ws
          run_apart(ws.subscribe, ws, 'topic')
        end)
        return { ctx, port }
      end)
      local function take()
        loop.serve_until(result[1], function() return waiting[1] end, 'what waits')
        return table.remove(waiting)
      end
      return result[1], result[2], take, log
    end

    it('may call each function ' .. what, function()
      local ctx, port, take, log = open()
      local c, d = client.connect(ctx, port), client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      local request = take()
      assert.is_true(run_apart(request.accept, request, { ['X-Own'] = 'value' }))
      assert.equal(101, c:read_head())
      assert.equal(0, run_apart(ctx.publish, ctx, 'topic', 'published'))
      c:expect_text 'published'
      assert.equal(0, run_apart(ctx.broadcast, ctx, 'p', 'broadcast'))
      c:expect_text 'broadcast'
      run_apart(ctx.batch, ctx, function() run_apart(log.ws.write, log.ws, 'in batch') end)
      c:expect_text 'in batch'

      d:send(http.request '/a')
      local ws = take()
      assert.equal(0, run_apart(ws.respond, ws, 200, { ['X-Own'] = 'value' }, ('x'):rep(10000)))
      assert.equal(200, (d:read_response()))
      local handler = run_apart(websockets.static, 'spec/support')
      d:send(http.request '/b')
      ws = take()
      assert.is_true(run_apart(handler, ws, '/pair.lua'))
      assert.equal(200, (d:read_response()))

      run_apart(ctx.shutdown, ctx, 10)
      log.ws = nil
      c:expect_close(1001)
      c:send_close(1001)
      d:expect_end()
      loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end, 'the end')
    end)

    it('may start timers, and run the server until another one stops it, ' .. what, function()
      local ctx, port = open()
      local c = client.connect(ctx, port)
      local ticks, late = 0, 0
      local timer = run_apart(ctx.every, ctx, 0.0001, function() ticks = ticks + 1 end)
      run_apart(ctx.after, ctx, 0.001, function()
        late = ticks
        run_apart(timer.cancel, timer)
        run_apart(ctx.stop, ctx)
      end)
      assert.equal(0, run_apart(ctx.run, ctx, 0))
      assert.is_true(loop.is_destroyed(ctx))
      assert.is_true(late > 0 and late == ticks)
      c:expect_loss()
    end)
  end

  it('can be the function of every callback, and go on with each call', function()
    local counts = {}
    local function counting(name, answer)
      counts[name] = 0
      return coroutine.wrap(function(first)
        while true do
          counts[name] = counts[name] + 1
          leaks.collect()
          if answer == 'respond' then first:respond(200) end
          first = coroutine.yield(answer)
        end
      end)
    end
    local on_receive, on_closed = counting 'receive', counting 'closed'
    local on_broadcast, on_writeable = counting 'broadcast', counting 'writeable'
    local on_open = counting 'open'
    local ctx, port = pair.context({
      on_http = counting('http', 'respond'),
      on_upgrade = counting('upgrade', true),
    }, function(ws)
      on_open(ws)
      ws:on_receive(on_receive)
      ws:on_closed(on_closed)
      ws:on_broadcast(on_broadcast)
      ws:on_server_writeable(on_writeable)
    end)
    local timer = ctx:every(0.0001, counting 'timer')
    for _ = 1, 2 do
      local c, d = client.open(ctx, port, 'p'), client.connect(ctx, port)
      c:send(client.frame(client.TEXT, 'x'):rep(2))
      c:expect_nothing()
      ctx:broadcast('p', 'x')
      d:send(http.request '/')
      assert.equal(200, (d:read_response()))
      c:finish(1000)
    end
    loop.serve_until(ctx, function() return counts.closed == 2 and counts.timer >= 2 end, 'the callbacks')
    timer:cancel()
    counts.timer = nil
    assert.is_true(counts.writeable >= 2)
    counts.writeable = nil
    assert.same({ receive = 4, closed = 2, broadcast = 2, open = 2, http = 2, upgrade = 2 }, counts)
  end)

  it('that has ended is an error in the callback that it was, and no more', function()
    local errors = {}
    local ctx, port = pair.context({ on_error = function(message) errors[#errors + 1] = message end }, function(ws)
      ws:on_receive(coroutine.wrap(function() end))
    end)
    local c = client.open(ctx, port, 'p')
    c:send(client.frame(client.TEXT, 'x'):rep(3))
    c:expect_close(1011)
    assert.equal(1, #errors)
    assert.matches('dead coroutine', errors[1])
  end)

  it('may outlive the context that it was in the midst of', function()
    local c, _, ctx
    local thread = coroutine.create(function(ws)
      coroutine.yield(ws:write 'first')
      coroutine.yield(ws:write 'second')
      return pcall(ctx.publish, ctx, 'topic', 'x')
    end)
    c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function() assert(coroutine.resume(thread, ws)) end)
    end)
    c:text 'x'
    c:expect_text 'first'
    ctx:destroy()
    leaks.collect()
    assert.same({ true, -1, 'closed' }, { coroutine.resume(thread) })
    local ok, is_called, why = coroutine.resume(thread)
    assert.is_true(ok)
    assert.is_false(is_called)
    assert.matches('destroyed', why)
    c:expect_close(1001)
  end)
end)
