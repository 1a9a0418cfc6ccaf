-- SPDX-License-Identifier: MIT
-- context:after and context:every.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'
local socket = require 'socket'

describe('timers', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)

  it('call a function once, not before its time, with themselves', function()
    local ctx = pair.context()
    local calls, given, at = 0, nil, nil
    local start = socket.gettime()
    local timer = ctx:after(0.05, function(...)
      calls, given, at = calls + 1, { select('#', ...), ... }, socket.gettime()
    end)
    assert.is_truthy(tostring(timer):find '^timer: 0?x?%x+ %(pending%)$')
    loop.serve_until(ctx, function() return calls > 0 end)
    assert.is_true(at - start >= 0.0499, 'early: ' .. at - start)
    assert.equal(1, given[1])
    assert.is_true(rawequal(given[2], timer))
    assert.is_truthy(tostring(timer):find '%(ended%)$')
    local other
    ctx:after(0.02, function() other = true end)
    loop.serve_until(ctx, function() return other end)
    assert.equal(1, calls)
    assert.is_false(timer:cancel())
  end)

  it('call a function in the next round', function()
    local ctx = pair.context()
    local order = {}
    ctx:after(0, function()
      order[#order + 1] = 'first'
      ctx:after(0, function() order[#order + 1] = 'third' end)
    end)
    ctx:after(0, function() order[#order + 1] = 'second' end)
    assert.same({}, order)
    ctx:service(0)
    assert.same({ 'first', 'second' }, order)
    ctx:service(0)
    assert.same({ 'first', 'second', 'third' }, order)
  end)

  it('are called in the order of their times, however late', function()
    local ctx = pair.context()
    local order = {}
    for _, ms in ipairs { 9, 3, 3.5, 1, 3, 0, 64, 7, 65 } do
      local earliest = socket.gettime() + ms / 1000
      local due = { earliest = earliest }
      ctx:after(ms / 1000, function() order[#order + 1] = due end)
      due.latest = socket.gettime() + ms / 1000
    end
    socket.select(nil, nil, 0.07)
    loop.serve_until(ctx, function() return #order == 9 end)
    local clocks_differ_s = 0.001
    for i = 2, #order do
      assert.is_true(order[i - 1].earliest <= order[i].latest + clocks_differ_s)
    end
  end)

  it('call a function again and again', function()
    local ctx = pair.context()
    local ticks, start = {}, socket.gettime()
    local timer = ctx:every(0.02, function()
      ticks[#ticks + 1] = socket.gettime() - start
      socket.select(nil, nil, 0.003)
    end)
    loop.serve_until(ctx, function() return #ticks >= 8 end)
    for i, at in ipairs(ticks) do
      -- The n-th is never before n intervals have passed; if it was late, that was the machine.
      assert.is_true(at >= i * 0.02 - 0.0002, ('tick %d at %f'):format(i, at))
    end
    assert.is_true(timer:cancel())
    assert.is_false(timer:cancel())
    local count = #ticks
    local other
    ctx:after(0.05, function() other = true end)
    loop.serve_until(ctx, function() return other end)
    assert.equal(count, #ticks)
  end)

  it('leave out ticks that were missed', function()
    local ctx = pair.context()
    local count = 0
    ctx:every(0.01, function() count = count + 1 end)
    socket.select(nil, nil, 0.1)
    ctx:service(0)
    assert.equal(1, count)
    ctx:service(0)
    assert.is_true(count <= 2)
  end)

  it('keep to their grid when ticks come late, or were missed', function()
    local ctx = pair.context()
    local interval = 0.2
    for missed = 0, 2 do
      local on_tick, start, timer
      -- The machine may stand still while it is started: then once more.
      repeat
        start = socket.gettime()
        timer = ctx:every(interval, function() on_tick() end)
        local is_exact = socket.gettime() - start < interval / 20
        if not is_exact then timer:cancel() end
      until is_exact
      local marker, was_before
      -- Each ends in the midst between two places of the grid. The next one comes before what is due in 3/4 of an
      -- interval; with a drift it never would.
      function on_tick()
        was_before = was_before or marker ~= nil and tostring(marker):find 'pending'
        if marker then marker:cancel() end
        local place = (socket.gettime() - start) / interval
        socket.select(nil, nil, ((0.5 - place) % 1 + missed) * interval)
        marker = ctx:after(0.75 * interval, function() end)
      end
      loop.serve_until(ctx, function() return was_before end, 'a tick in its place')
      timer:cancel()
      marker:cancel()
    end
  end)

  it('fire while service waits without end', function()
    local ctx = pair.context()
    local count = 0
    ctx:after(0.01, function() count = count + 1 end)
    ctx:every(0.01, function() count = count + 1 end)
    while count < 4 do
      ctx:service(-1)
    end
  end)

  it('take fractions of a millisecond', function()
    local ctx = pair.context()
    local ticks, start = 0, socket.gettime()
    local timer = ctx:every(1 / 400, function() ticks = ticks + 1 end) -- 2.5 ms
    loop.serve_until(ctx, function() return ticks >= 10 end)
    assert.is_true(socket.gettime() - start >= 0.0249)
    timer:cancel()
    for _, seconds in ipairs { 1e-9, 2 ^ -1074 } do
      ticks = 0
      timer = ctx:every(seconds, function() ticks = ticks + 1 end)
      loop.serve_until(ctx, function() return ticks >= 5 end)
      timer:cancel()
    end
  end)

  it('may cancel themselves and others', function()
    local ctx = pair.context()
    local log, timers = {}, {}
    timers.once = ctx:after(0, function(timer)
      log[#log + 1] = 'once'
      assert(timer:cancel() == false)
      assert(timers.never:cancel() == true)
      assert(timers.never:cancel() == false)
    end)
    timers.never = ctx:after(0, function() log[#log + 1] = 'never' end)
    timers.twice = ctx:every(0.001, function(timer)
      log[#log + 1] = 'again'
      if #log < 3 then return end
      assert(timer:cancel() == true)
      ctx:after(0.01, function() log[#log + 1] = 'last' end)
    end)
    loop.serve_until(ctx, function() return log[#log] == 'last' end)
    assert.same({ 'once', 'again', 'again', 'last' }, log)
  end)

  it('may be forgotten, also while they are called', function()
    local ctx = pair.context()
    local ticks, called = 0, 0
    ctx:every(0.001, function(timer)
      ticks = ticks + 1
      if ticks == 3 then timer:cancel() end
      timer = nil -- luacheck: ignore
      leaks.collect()
    end)
    ctx:after(0.001, function(timer)
      timer = nil -- luacheck: ignore
      leaks.collect()
      called = called + 1
    end)
    leaks.collect()
    loop.serve_until(ctx, function() return ticks == 3 and called == 1 end)
  end)

  it('report errors, and go on', function()
    local errors = {}
    local ctx = pair.context { on_error = function(message, ws) errors[#errors + 1] = { message, ws } end }
    local count = 0
    local timer = ctx:every(0.001, function()
      count = count + 1
      error('oops ' .. count)
    end)
    ctx:after(0, function() error { 'a table' } end)
    loop.serve_until(ctx, function() return count >= 3 end)
    timer:cancel()
    assert.is_true(#errors >= 4)
    for _, one in ipairs(errors) do
      assert.is_truthy(one[1]:find 'oops' or one[1]:find('table { [1] = \'a table\' }', 1, true))
      assert.is_truthy(one[1]:find 'traceback')
      assert.is_nil(one[2])
    end
  end)

  it('may serve the context: the others are called meanwhile, they are not', function()
    local ctx = pair.context()
    local log, ticks, done = {}, 0, false
    ctx:after(0, function()
      log[#log + 1] = 'begin'
      while #log < 2 do
        ctx:service(-1)
      end
      log[#log + 1] = 'end'
    end)
    ctx:after(0, function() log[#log + 1] = 'other' end)
    ctx:service(0)
    assert.same({ 'begin', 'other', 'end' }, log)
    local depth = 0
    local timer = ctx:every(0.001, function()
      depth, ticks = depth + 1, ticks + 1
      assert(depth == 1)
      local later
      ctx:after(0.005, function() later = true end)
      while not later do
        ctx:service(-1)
      end
      depth, done = depth - 1, ticks >= 3
    end)
    loop.serve_until(ctx, function() return done end)
    timer:cancel()
  end)

  it('may write, and close, and what they write leaves', function()
    local c, ws, ctx = pair.open()
    ctx:after(0, function() ws:write 'tick' end)
    c:expect_text 'tick'
    ctx:after(0, function() ws:close(1000) end)
    c:expect_close(1000)
  end)

  it('may destroy the context: the others end with it', function()
    local ctx = pair.context()
    local log = {}
    local timers = {}
    timers[1] = ctx:every(0.001, function()
      log[#log + 1] = 'destroys'
      ctx:destroy()
    end)
    timers[2] = ctx:every(0.001, function() log[#log + 1] = 'never' end)
    timers[3] = ctx:after(1000, function() log[#log + 1] = 'never' end)
    loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end)
    assert.same({ 'destroys' }, log)
    for _, timer in ipairs(timers) do
      assert.is_false(timer:cancel())
      assert.is_truthy(tostring(timer):find '%(ended%)$')
    end
  end)

  it('end with their context', function()
    local ctx = pair.context()
    local held = setmetatable({}, { __mode = 'k' })
    local function make()
      local object = {}
      held[object] = true
      return ctx:every(1000, function() return object end)
    end
    local timer = make()
    ctx:destroy()
    assert.is_false(timer:cancel())
    leaks.collect()
    assert.is_nil(next(held))
    for _, method in ipairs { 'after', 'every' } do
      assert.error_matches(function() ctx[method](ctx, 1, print) end, 'websocket context destroyed')
    end
  end)

  it('keep nothing for those that have ended', function()
    local ctx = pair.context()
    local held = setmetatable({}, { __mode = 'k' })
    local function count()
      leaks.collect()
      local number = 0
      for _ in pairs(held) do
        number = number + 1
      end
      return number
    end
    local function make(method, seconds)
      local object = {}
      local timer = ctx[method](ctx, seconds, function() return object end)
      held[object], held[timer] = true, true
      return timer
    end
    make('after', 0)
    make('every', 1000):cancel()
    ctx:service(0)
    assert.equal(0, count())
    make('after', 1000)
    assert.equal(2, count())
    -- Every function that a context keeps has a place in this table, which is used again.
    local kept = (debug.getuservalue or debug.getfenv)(ctx)
    local function last_place()
      local last = 0
      for place in pairs(kept) do
        last = math.max(last, place)
      end
      return last
    end
    local last = last_place()
    for _ = 1, 100 do
      make('after', 1000):cancel()
    end
    assert.equal(last, last_place())
  end)

  it('are collected with their context, though they refer to it', function()
    local held = setmetatable({}, { __mode = 'k' })
    local function make()
      local ctx = pair.context()
      local timer
      timer = ctx:every(1000, function() return ctx, timer end)
      held[timer] = true
      if loop.other then ctx:destroy() end -- such a loop keeps it until then
    end
    make()
    leaks.collect()
    assert.is_nil(next(held))
  end)

  it('keep their context while they can be reached', function()
    local timer
    local called = 0
    local function make()
      local ctx = pair.context()
      timer = ctx:every(0.001, function()
        called = called + 1
        return ctx
      end)
    end
    make()
    leaks.collect()
    assert.is_truthy(tostring(timer):find 'pending')
    assert.is_true(timer:cancel())
  end)

  it('are told of by timeout() and pollfd() #pollfd', function()
    local ctx = pair.context()
    assert.is_nil(ctx:timeout())
    local called
    local timer = ctx:after(100, function() end)
    local seconds = ctx:timeout()
    assert.is_true(seconds > 0 and seconds <= 100.1) -- never too long
    local earlier = ctx:after(0.01, function() called = true end)
    assert.is_true(ctx:timeout() <= 0.02)
    local fd = ctx:pollfd()
    while not called do
      assert.equal(1, #socket.select({ { getfd = function() return fd end } }, nil, 20 * loop.time_factor))
      ctx:service(0)
    end
    timer:cancel()
    assert.is_false(earlier:cancel())
  end)

  it('are many', function()
    local ctx = pair.context()
    local count, total = 0, math.floor(10000 / loop.time_factor)
    local timers = {}
    for i = 1, total do
      timers[i] = ctx:after(i % 50 / 1000, function() count = count + 1 end)
    end
    local cancelled = 0
    for i = 1, total, 3 do
      cancelled = cancelled + (timers[i]:cancel() and 1 or 0)
    end
    loop.serve_until(ctx, function() return count == total - cancelled end)
  end)

  it('refuse other arguments', function()
    local ctx = pair.context()
    for _, seconds in ipairs { -1, -0.001, 0 / 0, math.huge, 1e10 } do
      assert.error_matches(function() ctx:after(seconds, print) end, 'a number of seconds expected')
      assert.error_matches(function() ctx:every(seconds, print) end, 'a number of seconds expected')
    end
    assert.error_matches(function() ctx:every(0, print) end, 'a number of seconds above 0 expected')
    for _, value in ipairs { 'x', true, {} } do
      assert.has_error(function() ctx:after(value, print) end)
      assert.has_error(function() ctx:after(1, value) end)
    end
    assert.has_error(function() ctx:after(1) end)
    assert.has_error(function() ctx:after(nil, print) end)
    local timer = ctx:after(1000, print)
    assert.has_error(function() timer.cancel(ctx) end)
    assert.has_error(function() timer.cancel() end)
    assert.has_error(function() ctx.service(timer) end)
  end)

  it('go on in a forked process, and end in the other one', function()
    local server = remote.start()
    local port = server:call [[
      local websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
      timer = ctx:every(0.001, function() ctx:broadcast('p', 'tick') end)
      local port = tonumber((ctx:addresses()[1]:match '%d+$'))
      assert(ctx:fork_service_loop() == 0)
      return port]]
    local c = client.open({}, port, 'p')
    c:expect_text 'tick'
    c:expect_text 'tick'
    assert.is_false(server:call 'return timer:cancel()')
    local ok, why = server:call 'return pcall(ctx.after, ctx, 1, print)'
    assert.is_false(ok)
    assert.is_truthy(why:find('websocket fork_service_loop was called already', 1, true))
    server:close()
  end)

  it('may be there when the program ends', function()
    assert.equal('', script.run [[
      local websockets = require 'websockets'
      local context = websockets.context { protocols = { p = function() end } }
      local timer = context:every(0.001, function() end)
      context:after(1000, function() return context, timer end)
      context:service(5)
    ]])
  end)
end)
