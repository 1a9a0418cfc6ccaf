-- SPDX-License-Identifier: MIT
-- Coroutines that a context runs: context:spawn, its threads, websockets.sleep and websockets.handler.
local client = require 'spec.support.client'
local clients = require 'spec.support.clients'
local interruption = require 'spec.support.interruption'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'
local waits = require 'spec.support.waits'
local websockets = require 'websockets'

local is_slow = loop.time_factor > 1 or script.is_sanitized()

-- A context that listens on nothing, and the list of what its on_error is told.
local function quiet_context()
  local errors = {}
  return loop.context { port = 0, on_error = function(why, ws) errors[#errors + 1] = { why = why, ws = ws } end }, errors
end

describe('spawn', function()
  leaks.check_each(before_each, after_each)

  it('starts a coroutine when the context is served, or at once where it is', function()
    local ctx = loop.context { port = 0 }
    local log = {}
    local function note(text)
      log[#log + 1] = text
      websockets.sleep(0)
      log[#log + 1] = text .. ' again'
    end
    local first = ctx:spawn(note, 'a')
    assert.same({}, log)
    assert.equal('waiting', first:status())
    ctx:after(0, function()
      log[#log + 1] = 'callback'
      ctx:spawn(note, 'b')
      log[#log + 1] = 'after b'
    end)
    loop.serve_until(ctx, function() return #log == 6 end, 'both')
    local places = {}
    for i, text in ipairs(log) do
      places[text] = i
    end
    assert.is_true(places.a < places['a again'] and places.b < places['b again'])
    assert.equal(places.callback + 1, places.b)
    assert.equal(places.b + 1, places['after b'])
    assert.same({ true }, { first:join() })
  end)

  it('passes its arguments, and join what is returned, nil in between too', function()
    local ctx = loop.context { port = 0 }
    local thread = ctx:spawn(function(...)
      local given = waits.pack(...)
      websockets.sleep(0)
      return given.n, nil, ...
    end, 1, nil, 'x', nil)
    local results = waits.pack(waits.finish(ctx, thread))
    assert.same({ true, 4, nil, 1, nil, 'x', nil, n = 7 }, results)
    assert.same(results, waits.pack(thread:join(0)))
    assert.same(results, waits.pack(waits.run(ctx, function() return thread:join(1) end)))
  end)

  it('returns threads that say how they are', function()
    local ctx = loop.context { port = 0 }
    local thread, inside
    thread = ctx:spawn(function()
      inside = thread:status()
      coroutine.yield()
      websockets.sleep(100)
    end)
    assert.matches('^thread: 0x%x+ %(waiting%)$', tostring(thread))
    loop.serve_until(ctx, function() return inside end)
    assert.equal('running', inside)
    assert.equal('suspended', thread:status()) -- it is somebody else's now
    assert.is_true(thread:cancel())
    ctx:destroy()
  end)

  it('raises wrong arguments at the line of its caller', function()
    local ctx = loop.context { port = 0 }
    local thread = ctx:spawn(function() end)
    local function check()
      for _, value in ipairs { 1, 'x', {}, true } do
        waits.expect_raised("bad argument #1 to 'spawn' %(function expected, got ", function() ctx:spawn(value) end)
        waits.expect_raised("bad argument #1 to 'handler'", function() websockets.handler(value) end)
      end
      for _, value in ipairs { 'x', -1, 0 / 0, {}, true } do
        waits.expect_raised("bad argument #1 to 'sleep' %(a number of seconds", function() websockets.sleep(value) end)
        waits.expect_raised("bad argument #1 to 'join' %(a number of seconds", function() thread:join(value) end)
      end
      waits.expect_raised("bad argument #1 to 'sleep'", function() websockets.sleep() end)
      waits.expect_raised("bad argument #1 to 'spawn'", function() ctx:spawn() end)
      for _, value in ipairs { 1, 'x', {} } do
        waits.expect_raised("bad argument #1 to 'spawn'", function() ctx.spawn(value, print) end)
        for _, name in ipairs { 'join', 'cancel', 'status' } do
          waits.expect_raised(("bad argument #1 to '%s'"):format(name), function() thread[name](value) end)
        end
      end
    end
    check()
    waits.run(ctx, check)
    ctx:destroy()
    assert.error_matches(function() ctx:spawn(print) end, 'websocket context destroyed')
  end)

  -- --- Errors ---

  it('tells an error once, with the traceback of the coroutine', function()
    local ctx, errors = quiet_context()
    local function inner() error 'oops' end
    for _, waits_before in ipairs { false, true } do
      local thread = ctx:spawn(function()
        if waits_before then websockets.sleep(0) end
        inner()
      end)
      local ok, why, message = waits.finish(ctx, thread)
      assert.same({ nil, 'failed' }, { ok, why })
      assert.matches('^spec/spawn_spec.lua:%d+: oops$', message)
      assert.equal(1, #errors)
      assert.matches("^spec/spawn_spec.lua:%d+: oops\nstack traceback:\n.*in %a+ '?inner'?", errors[1].why)
      assert.is_nil(errors[1].ws)
      assert.same({ nil, 'failed', message }, { thread:join() })
      errors[1] = nil
    end
    loop.step(ctx)
    assert.same({}, errors)
  end)

  it('tells errors of any type', function()
    local ctx, errors = quiet_context()
    local object = setmetatable({}, { __tostring = function() return 'an object' end })
    local failing = setmetatable({}, { __tostring = function() error 'no' end })
    for _, case in ipairs { { {}, 'table' }, { object, '^an object\n' }, { failing, 'table' }, { 42, '^42' },
      { true, 'boolean' }, { print, 'function' } } do
      local ok, why, given = waits.finish(ctx, ctx:spawn(function() error(case[1], 0) end))
      assert.same({ nil, 'failed' }, { ok, why })
      assert.is_true(rawequal(given, case[1]))
      assert.equal(1, #errors)
      assert.matches(case[2], errors[1].why)
      errors[1] = nil
    end
    local results = waits.pack(waits.finish(ctx, ctx:spawn(function() error() end)))
    assert.same({ nil, 'failed' }, { results[1], results[2] })
    assert.equal(1, #errors)
  end)

  it('lets the others go on when one fails', function()
    local ctx, errors = quiet_context()
    local got = {}
    for i = 1, 10 do
      ctx:spawn(function()
        websockets.sleep(0)
        if i % 2 == 0 then error 'even' end
        websockets.sleep(0)
        got[#got + 1] = i
      end)
    end
    loop.serve_until(ctx, function() return #got == 5 end, 'the odd ones')
    assert.equal(5, #errors)
  end)

  -- --- join, cancel, sleep ---

  it('is joined by many, and by a time', function()
    local ctx = loop.context { port = 0 }
    local in_vain, joined = 0, 0
    local thread = ctx:spawn(function()
      while in_vain < 10 do
        websockets.sleep(0.001)
      end
      return 'done'
    end)
    assert.same({ nil, 'timeout' }, { thread:join(0) })
    assert.same({ nil, 'timeout' }, { thread:join(0.01) })
    for _ = 1, 10 do
      ctx:spawn(function()
        assert.same({ nil, 'timeout' }, { thread:join(0) })
        assert.same({ nil, 'timeout' }, { thread:join(0.001) })
        in_vain = in_vain + 1
        assert.same({ true, 'done' }, { thread:join() })
        joined = joined + 1
      end)
    end
    assert.same({ true, 'done' }, { thread:join() })
    loop.serve_until(ctx, function() return joined == 10 end, 'all of them')
  end)

  it('is not waited for outside of coroutines when nothing could end that', function()
    local ctx = loop.context { port = 0 }
    local thread = ctx:spawn(function() coroutine.yield() end)
    waits.expect_raised('.*nothing is left that could end this wait', function() thread:join() end)
    assert.same({ nil, 'timeout' }, { thread:join(0.001) })
    assert.equal('suspended', thread:status())
  end)

  it('sleeps by the default context where nothing runs', function()
    local written = script.run [[
      local websockets = require 'websockets'
      print(websockets.sleep(0.001), websockets.sleep(0))
      local thread = coroutine.create(function() print(websockets.sleep(0.001), 'in a coroutine') end)
      coroutine.resume(thread)
      websockets.run()
      print(coroutine.status(thread))
    ]]
    assert.equal('true\ttrue\ntrue\tin a coroutine\ndead\n', written)
  end)

  it('is not joined by itself', function()
    local ctx = loop.context { port = 0 }
    local thread
    thread = ctx:spawn(function() waits.expect_raised('.*cannot join itself', function() thread:join() end) end)
    assert.same({ true }, { waits.finish(ctx, thread) })
  end)

  it('is cancelled before it begins, while it waits, while it runs, and not when it has ended', function()
    local ctx = loop.context { port = 0 }
    local began = false
    local thread = ctx:spawn(function() began = true end)
    assert.is_true(thread:cancel())
    assert.same({ nil, 'cancelled' }, { thread:join() })
    assert.is_false(thread:cancel())
    loop.step(ctx)
    assert.is_false(began)

    local waited = {}
    thread = ctx:spawn(function()
      waited[1] = waits.pack(websockets.sleep(100))
      waited[2] = waits.pack(websockets.sleep(0.001))
      return 'end'
    end)
    waits.wait_for_waiting(ctx, thread)
    assert.is_true(thread:cancel())
    assert.is_true(thread:cancel()) -- the next one
    assert.same({ true, 'end' }, { waits.finish(ctx, thread) })
    assert.same({ nil, 'cancelled', n = 2 }, waited[1])
    assert.same({ nil, 'cancelled', n = 2 }, waited[2])

    thread = ctx:spawn(function()
      assert.is_true(thread:cancel())
      assert.same({ nil, 'cancelled' }, { websockets.sleep(100) })
      assert.same({ true }, { websockets.sleep(0) })
      return 'end'
    end)
    assert.same({ true, 'end' }, { waits.finish(ctx, thread) })
    assert.is_false(thread:cancel())
    assert.same({ true, 'end' }, { thread:join() })
  end)

  it('is cancelled for its next wait when what it waited for has come', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    for _, seconds in ipairs { false, 100 } do
      local thread = ctx:spawn(function()
        local got = {}
        for i = 1, 3 do
          local data, why = ws:receive(seconds or nil)
          got[i] = data or why
        end
        table.sort(got)
        return table.concat(got, ' ')
      end)
      waits.wait_for_waiting(ctx, thread)
      ctx:after(0.01, function() c:send(waits.text 'a') end)
      c:send(waits.text 'b')
      ctx:after(0, function() thread:cancel() end)
      assert.same({ true, 'a b cancelled' }, { waits.finish(ctx, thread) })
    end
  end)

  it('ends with its context: waits end in the order in which they began', function()
    local ctx = loop.context { port = 0 }
    local log = {}
    local first
    local expected = {}
    for i = 1, 40 do
      local thread = ctx:spawn(function()
        if i % 2 == 0 then first:join() else assert.same({ nil, 'cancelled' }, { websockets.sleep(1000) }) end
        log[i] = #log + 1
      end)
      first = first or thread
      loop.step(ctx)
      expected[i] = i
    end
    ctx:destroy()
    assert.same(expected, log)
  end)

  it('has failed when a stranger has resumed it, or closed it', function()
    local ctx = loop.context { port = 0 }
    local co
    local function sleep()
      co = coroutine.running()
      websockets.sleep(1000)
    end
    local thread = ctx:spawn(sleep)
    waits.wait_for_waiting(ctx, thread)
    local joiner = ctx:spawn(function() return (select(2, thread:join())) end)
    waits.wait_for_waiting(ctx, joiner)
    assert.is_false((coroutine.resume(co)))
    assert.same({ true, 'failed' }, { waits.finish(ctx, joiner) })
    assert.same({ nil, 'failed', 'websocket: the coroutine was ended by somebody else' }, { thread:join() })
    if not coroutine.close then return end
    thread = ctx:spawn(sleep)
    waits.wait_for_waiting(ctx, thread)
    coroutine.close(co)
    assert.equal('ended', thread:status())
    assert.is_false(thread:cancel())
  end)

  it('cancels who joins, and leaves whom he joins alone', function()
    local ctx = loop.context { port = 0 }
    local thread = ctx:spawn(function() return websockets.sleep(0.02) end)
    local joiner = ctx:spawn(function()
      local results = waits.pack(thread:join())
      return results.n, results[1], results[2]
    end)
    waits.wait_for_waiting(ctx, joiner)
    joiner:cancel()
    assert.same({ true, 2, nil, 'cancelled' }, { waits.finish(ctx, joiner) })
    assert.same({ true, true }, { waits.finish(ctx, thread) })
  end)

  it('sleeps no time at all for one round, and beside timers', function()
    local ctx = loop.context { port = 0 }
    local log, ticks = {}, 0
    local timer = ctx:every(0.001, function() ticks = ticks + 1 end)
    for i = 1, 3 do
      ctx:spawn(function()
        for round = 1, 3 do
          log[#log + 1] = round
          assert.same({ true }, { websockets.sleep(0) })
        end
        assert.is_true(websockets.sleep(0.005 * i))
        log[#log + 1] = 'slept ' .. i
      end)
    end
    loop.serve_until(ctx, function() return #log == 12 end, 'all of them')
    assert.same({ 1, 1, 1, 2, 2, 2, 3, 3, 3, 'slept 1', 'slept 2', 'slept 3' }, log)
    loop.serve_until(ctx, function() return ticks > 10 end, 'the timer')
    timer:cancel()
  end)

  -- --- Nesting ---

  it('may serve its context, and run it', function()
    local c, ws, ctx = pair.open(nil, waits.echo)
    local other = loop.context { port = 0 }
    local log = {}
    for _, served in ipairs { ctx, other } do
      waits.run(ctx, function()
        served:after(0.001, function() log[#log + 1] = 'timer' end)
        local before = #log
        while #log == before do
          served:service(1)
        end
        if served == other then
          other:after(0, function() other:stop() end)
          other:run()
          log[#log + 1] = 'ran'
        end
        assert.is_true(websockets.sleep(0))
      end)
      c:text 'x'
      c:expect_text 'x'
    end
    assert.same({ 'timer', 'timer', 'ran' }, log)
    assert.equal('open', ws:state())
    local thread = ctx:spawn(function()
      ctx:after(0, function() ctx:stop() end)
      ctx:run()
      log[#log + 1] = 'own'
    end)
    loop.serve_until({}, function()
      if not loop.is_destroyed(ctx) then ctx:service(1) end
      return loop.is_destroyed(ctx)
    end, 'the end of the context')
    assert.same({ 'own', 'ended' }, { log[4], thread:status() })
  end)

  it('may nest 1000 deep, and longer chains that join', function()
    local ctx = loop.context { port = 0 }
    local count = 0
    local function nest(depth)
      count = count + 1
      if depth == 0 then return 0 end
      local thread = ctx:spawn(nest, depth - 1)
      local ok, result = thread:join()
      assert(ok == true)
      return result + 1
    end
    assert.equal(1000, waits.run(ctx, nest, 1000))
    assert.equal(1001, count)
  end)

  it('may make, serve and destroy contexts, its own too', function()
    local ctx = loop.context { port = 0 }
    local results
    local thread = ctx:spawn(function()
      local other = loop.context { port = 0 }
      local slept = other:spawn(function() return websockets.sleep(0.001) end)
      while slept:status() ~= 'ended' do
        loop.step(other, 1)
      end
      other:destroy()
      ctx:destroy()
      results = waits.pack(pcall(ctx.spawn, ctx, print))
    end)
    loop.serve_until(ctx, function() return thread:status() == 'ended' end, 'the coroutine')
    assert.is_false(results[1])
  end)

  it('ends each wait when its context is destroyed', function()
    local c, ws, ctx = pair.open()
    local ended, waiting = {}, 0
    ws:receive(0)
    local function spawn(name, fn)
      ctx:spawn(function()
        waiting = waiting + 1
        local result, why = fn()
        ended[name] = tostring(result) .. ' ' .. tostring(why)
        if name == 'sleep' then -- there is nothing any more to wait in
          local ok = pcall(function() return ctx:spawn(print) end)
          ended.spawn = tostring(ok)
        end
      end)
    end
    spawn('sleep', function() return websockets.sleep(100) end)
    spawn('receive', function() return ws:receive() end)
    spawn('wait_closed', function() return ws:wait_closed() end)
    local sleeper = ctx:spawn(function() websockets.sleep(100) end)
    spawn('join', function() return sleeper:join() end)
    loop.serve_until(ctx, function() return waiting == 4 end, 'all of them')
    local late = ctx:spawn(function() ended.late = true end)
    ctx:destroy()
    assert.equal('ended', sleeper:status())
    assert.same({ nil, 'cancelled' }, { late:join() })
    assert.equal('nil cancelled', ended.sleep)
    assert.equal('nil closed', ended.receive)
    assert.matches('^true 1001$', ended.wait_closed)
    assert.is_string(ended.join)
    assert.equal('false', ended.spawn)
    assert.is_nil(ended.late)
    c:expect_close(1001)
  end)

  it('goes on while the context shuts down, which waits for the conversations', function()
    local c, ws, ctx = waits.open(function(ws)
      while true do
        local data, why = ws:receive()
        if not data then return why end
        ws:write(data)
      end
    end)
    c:text 'x'
    c:expect_text 'x'
    ctx:shutdown(100, 1001, 'bye')
    c:expect_close(1001, 'bye')
    assert.equal('closed', ws:state())
  end)

  it('holds many conversations; half of them are cancelled, the others shut down', function()
    local count = is_slow and 200 or 10000
    local most_sockets = math.min(count, 200)
    local reasons, waiting = {}, 0
    local server, url = clients.server(nil, waits.echo)
    local sockets, threads = {}, {}
    for i = 1, most_sockets do
      sockets[i] = server:connect(url)
    end
    -- Each websocket has one that receives; the others wait for its end, its queue, or sleep.
    for i = 1, count do
      local ws = sockets[(i - 1) % most_sockets + 1]
      threads[i] = server:spawn(function()
        assert(ws:wait_open())
        if i <= most_sockets then
          ws:write(i .. '')
          assert(ws:receive() == i .. '')
        end
        waiting = waiting + 1
        local result, why
        if i <= most_sockets then
          result, why = ws:receive()
        elseif i % 3 == 0 then
          result, why = websockets.sleep(1000)
        else
          result, why = ws:wait_closed()
        end
        why = result and tostring(result) or why
        reasons[why] = (reasons[why] or 0) + 1
      end)
    end
    loop.serve_until(server, function() return waiting == count end, 'all to wait')
    for i = 1, count, 2 do
      assert(threads[i]:cancel())
    end
    loop.serve_until(server, function() return reasons.cancelled == count / 2 end, 'half of them')
    server:shutdown(100, 1001, 'bye')
    loop.serve_until(server, function()
      return (reasons.closed or 0) >= most_sockets / 2 and not tostring(server):find 'open'
        or loop.is_destroyed(server)
    end, 'the end')
    server:destroy()
    local total = 0
    for _, number in pairs(reasons) do
      total = total + number
    end
    assert.equal(count, total)
    for i = 1, count do
      assert(threads[i]:status() == 'ended')
    end
  end)

  it('is collected when it has ended, and its results with it', function()
    local ctx = loop.context { port = 0 }
    local weak = setmetatable({}, { __mode = 'k' })
    for _ = 1, 10 do
      local thread = ctx:spawn(function()
        websockets.sleep(0)
        local result = {}
        weak[result], weak[coroutine.running()] = true, true
        return result
      end)
      waits.finish(ctx, thread)
      weak[thread] = true
    end
    leaks.collect()
    assert.is_nil(next(weak))
    loop.step(ctx)
  end)

  it('needs no more memory the longer it waits', function()
    local ctx = loop.context { port = 0 }
    local rounds, sizes = is_slow and 500 or 5000, {}
    waits.run(ctx, function()
      for half = 1, 3 do
        for _ = 1, rounds do
          websockets.sleep(0)
          ctx:spawn(function() websockets.sleep(0) end):join()
        end
        leaks.collect()
        sizes[half] = collectgarbage 'count'
      end
    end)
    assert.is_true(sizes[3] - sizes[2] < 50, ('%.0f %.0f %.0f'):format(sizes[1], sizes[2], sizes[3]))
  end)
end)

describe('an interruption', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)

  it('by Ctrl-C leaves service() while coroutines wait and run, and is no error of theirs', function()
    for _, busy in ipairs { 'websockets.sleep(0)', 'ws:receive(0.0001)', 'for _ = 1, 10000 do end websockets.sleep(0)' } do
      local server = remote.start()
      server:begin([[
        local websockets = require 'websockets'
        local errors = 0
        local ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end },
          on_error = function() errors = errors + 1 end }
        local ws = ctx:connect('ws://' .. ctx:addresses()[1])
        local thread = ctx:spawn(function()
          while true do
            %s
          end
        end)
        os.execute('sleep 0.05 && kill -INT ' .. process_id() .. ' &')
        local ok, why = pcall(function() while true do ctx:service(-1) end end)
        local slept = ctx:spawn(function() return websockets.sleep(0.001) end)
        while slept:status() ~= 'ended' do ctx:service(1) end
        return tostring(ok), why, errors, tostring(slept:join())
      ]], busy)
      assert.same({ 'false', 0, 'true' }, (function(ok, why, errors, slept)
        assert.matches('interrupted!$', why)
        return { ok, errors, slept }
      end)(server:result()))
    end
  end)

  it('by Ctrl-C leaves what waits outside of coroutines', function()
    for _, wait in ipairs { 'websockets.sleep(1000)', 'ws:receive()', 'ws:wait_closed()', 'thread:join()' } do
      local server = remote.start()
      server:begin([[
        local websockets = require 'websockets'
        local ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
        local ws = ctx:connect('ws://' .. ctx:addresses()[1])
        assert(ws:wait_open())
        local thread = ctx:spawn(function() return websockets.sleep(1000) end)
        os.execute('sleep 0.05 && kill -INT ' .. process_id() .. ' &')
        local ok, why = pcall(function() return %s end)
        return tostring(ok), why, tostring(ws:wait_open()), select(2, ws:receive(0.001))
      ]], wait)
      assert.same({ 'false', 'true', 'timeout' }, (function(ok, why, open, received)
        assert.matches('interrupted!$', why)
        return { ok, open, received }
      end)(server:result()))
    end
  end)

  it('is not what ends like one, such as what a client has said', function()
    local errors = {}
    local c = waits.open(function(ws) error((ws:receive())) end,
      { on_error = function(why) errors[#errors + 1] = why end })
    c:send_some(waits.text 'interrupted!')
    c:expect_close(1011)
    assert.equal(1, #errors)
    assert.matches('^[^\n]*interrupted!\n.*spawn_spec', errors[1])
    local ctx, reports = quiet_context()
    local thread
    ctx:after(0, function() thread = ctx:spawn(error, 'interrupted!', 0) end)
    loop.serve_until(ctx, function() return thread end, 'the coroutine')
    assert.same({ nil, 'failed', 'interrupted!' }, { thread:join() })
    assert.equal(1, #reports)
  end)

  it('outside of coroutines ends what waits there', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    for _, wait in ipairs { function() ws:receive() end, function() ws:wait_closed() end,
      function() ctx:spawn(function() websockets.sleep(0.01) end):join() end } do
      ctx:after(0, interruption.raise)
      local ok, why = pcall(wait)
      assert.is_false(ok)
      assert.matches('^[^\n]*interrupted!$', why)
    end
    c:send(waits.text 'x')
    assert.equal('x', (ws:receive()))
  end)
end)

describe('handler', function()
  after_each(clients.close_all)
  leaks.check_each(before_each, after_each)

  it('closes with 1000 when its function returns, with 1011 when it fails', function()
    local errors = {}
    local given
    local c, ws, ctx, port = waits.open(function(ws)
      given = ws
      local data = ws:receive()
      if data == 'fail' then error 'oops' end
      if data == 'own' then ws:close(4000, 'mine') end
    end, { on_error = function(why, failed) errors[#errors + 1] = { why, failed } end })
    assert.is_true(rawequal(given, ws))
    c:text 'end'
    c:expect_close(1000)
    c = client.open(ctx, port, 'p')
    c:text 'own'
    c:expect_close(4000, 'mine')
    assert.same({}, errors)
    c = client.open(ctx, port, 'p')
    c:text 'fail'
    c:expect_close(1011, 'the handler failed')
    assert.equal(1, #errors)
    assert.matches('^spec/spawn_spec.lua:%d+: oops\nstack traceback:\n', errors[1][1])
  end)

  it('gets what came in the segment of the request', function()
    local got = {}
    local _, port = pair.context(nil, websockets.handler(function(ws)
      for i = 1, 2 do
        local data = ws:receive()
        got[i] = data
      end
    end))
    local ctx = _
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p', first = waits.text 'a' .. waits.text 'b' })
    assert.equal(101, (c:read_head()))
    c:expect_close(1000)
    assert.same({ 'a', 'b' }, got)
  end)

  it('is told when its websocket ends, and may go on', function()
    local log = {}
    local c, _, ctx = waits.open(function(ws)
      local data, why, code = ws:receive()
      log[#log + 1] = tostring(data) .. why .. code
      assert(websockets.sleep(0.001))
      log[#log + 1] = ws:write 'x'
    end)
    c:finish(4001)
    loop.serve_until(ctx, function() return #log == 2 end, 'the coroutine')
    assert.same({ 'nilclosed4001', -1 }, log)
  end)

  it('may set callbacks, and wait for other things', function()
    local got = {}
    local c = waits.open(function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
      while #got < 2 do
        assert(websockets.sleep(0.001))
      end
      ws:write 'two'
      ws:drain()
    end)
    c:text 'a'
    c:text 'b'
    c:expect_text 'two'
    c:expect_close(1000)
    assert.same({ 'a', 'b' }, got)
  end)
end)
