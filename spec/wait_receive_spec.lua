-- SPDX-License-Identifier: MIT
-- ws:receive and ws:messages: messages in place of on_receive.
local client = require 'spec.support.client'
local clients = require 'spec.support.clients'
local deflate = require 'spec.support.deflate'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local waits = require 'spec.support.waits'
local websockets = require 'websockets'

local is_slow = loop.time_factor > 1
local short_s = 0.01

local function echo(ws)
  while true do
    local data, kind = ws:receive()
    if not data then return end
    ws:write(data, kind)
  end
end

describe('receive', function()
  after_each(clients.close_all)
  leaks.check_each(before_each, after_each)

  it('returns the data and the type of each message in turn', function()
    local c = waits.open(echo)
    for _, payload in ipairs { 'hello', '', ('x'):rep(100000) } do
      c:text(payload)
      c:expect_text(payload)
      c:binary(payload)
      c:expect_binary(payload)
    end
    c:send(waits.text('a'):rep(100) .. client.frame(client.BINARY, 'b'))
    for _ = 1, 100 do
      c:expect_text 'a'
    end
    c:expect_binary 'b'
  end)

  it('serves the context outside of coroutines', function()
    local ctx, url = clients.server(nil, websockets.handler(echo))
    local ws = ctx:connect(url)
    ws:write 'one'
    ws:write('two', websockets.WRITE_BINARY)
    assert.same({ 'one', websockets.WRITE_TEXT }, { ws:receive() })
    assert.same({ 'two', websockets.WRITE_BINARY }, { ws:receive(20 * loop.time_factor) })
    assert.same({ nil, 'timeout' }, { ws:receive(short_s) })
  end)

  it('returns what a client got from its opening on', function()
    local ctx, url = clients.server(nil, function(ws) for i = 1, 3 do ws:write(i .. '') end end)
    local ws = clients.open(ctx, url)
    for _ = 1, 10 do
      loop.step(ctx, 1)
    end
    waits.run(ctx, function()
      for i = 1, 3 do
        assert.equal(i .. '', (ws:receive()))
      end
      assert.same({ nil, 'timeout' }, { ws:receive(0) })
    end)
  end)

  it('is of no use for what a server got before the first call: that went nowhere, as ever', function()
    local c, ws, ctx = pair.open()
    c:text 'lost'
    c:expect_nothing()
    assert.same({ nil, 'timeout' }, { ws:receive(0) })
    c:text 'kept'
    c:expect_nothing()
    waits.run(ctx, function() assert.same({ 'kept', 0 }, { ws:receive() }) end)
  end)

  it('with no time at all returns what is there, and lets nobody else run in a coroutine', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local turns = 0
    ctx:spawn(function()
      while ws:state() == 'open' do
        turns = turns + 1
        websockets.sleep(0)
      end
    end)
    waits.run(ctx, function()
      c:send(waits.text 'x')
      local data
      repeat
        websockets.sleep(0)
        local before = turns
        data = ws:receive(0)
        assert.equal(before, turns)
      until data
      assert.equal('x', data)
      local before = turns
      assert.same({ nil, 'timeout' }, { ws:receive(0) })
      assert.equal(before, turns)
    end)
    c:send(waits.text 'y')
    local data
    loop.serve_until(ctx, function() -- outside it serves once, each time
      data = ws:receive(0)
      return data
    end, 'the message')
    assert.equal('y', data)
    ws:close()
  end)

  -- --- Nothing is lost ---

  -- Name -> the frames of one message that is cut in two somewhere, and the message.
  local function large()
    local payload = ('0123456789abcdef'):rep(is_slow and 2 ^ 16 or 2 ^ 20)
    return client.frame(client.BINARY, payload), payload
  end
  local function fragmented()
    local frames, parts = {}, {}
    for i = 1, 10 do
      parts[i] = ('%d.'):format(i):rep(10)
      frames[i] = client.frame(i == 1 and client.TEXT or client.CONTINUATION, parts[i], { fin = i == 10 })
    end
    return table.concat(frames), table.concat(parts)
  end
  local function compressed()
    local payload = ('to be or not to be '):rep(10000)
    return client.frame(client.TEXT, deflate.stored(payload), { rsv = 4 }), payload
  end
  local cut_messages = { fragmented = fragmented, compressed = compressed, ['16 MiB'] = large }
  local options = { headers = { ['Sec-WebSocket-Extensions'] = 'permessage-deflate' } }

  for name, make in pairs(cut_messages) do
    it('loses nothing of a message that is ' .. name .. ' when it takes too long', function()
      local frames, payload = make()
      waits.in_both_places({ compression = true }, function(c, ws)
        local half = math.floor(#frames / 2)
        local sent = 0
        while sent < half do
          sent = sent + c:send_some(frames:sub(sent + 1, half))
          assert.same({ nil, 'timeout' }, { ws:receive(0.001) })
        end
        assert.same({ nil, 'timeout' }, { ws:receive(0.001) })
        local data
        repeat
          if sent < #frames then sent = sent + c:send_some(frames:sub(sent + 1)) end
          local why
          data, why = ws:receive(0.001)
          assert(data or why == 'timeout')
        until data
        assert.is_true(data == payload)
        c:send(waits.text('next'))
        assert.equal('next', (ws:receive()))
      end, options)
    end)

    it('loses nothing of a message that is ' .. name .. ' when it is cancelled', function()
      local frames, payload = make()
      local c, ws, ctx = pair.open({ compression = true }, nil, options)
      ws:receive(0)
      local cancelled, got = 0, nil
      local thread = ctx:spawn(function()
        while true do
          local data, why = ws:receive()
          if data then
            got = data
            break
          end
          assert(why == 'cancelled', why)
          cancelled = cancelled + 1
        end
      end)
      local sent = 0
      while sent < #frames do
        local last = math.min(#frames, sent + math.ceil(#frames / 4))
        c:send(frames:sub(sent + 1, last))
        sent = last
        if sent < #frames then
          local before = cancelled
          waits.wait_for_waiting(ctx, thread)
          assert.is_true(thread:cancel())
          loop.serve_until(ctx, function() return cancelled == before + 1 end, 'a wait to be cancelled')
        end
      end
      waits.finish(ctx, thread)
      assert.is_true(got == payload)
      assert.equal(3, cancelled)
      assert.same({ true }, { thread:join() })
      assert.is_false(thread:cancel())
    end)
  end

  it('gets a message that came together with a cancellation later', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local got = {}
    local thread = ctx:spawn(function()
      for i = 1, 3 do
        local data, why = ws:receive()
        got[i] = data or why
      end
    end)
    waits.wait_for_waiting(ctx, thread)
    c:send(waits.text 'a' .. waits.text 'b')
    thread:cancel()
    waits.finish(ctx, thread)
    table.sort(got)
    assert.same({ 'a', 'b', 'cancelled' }, got)
  end)

  it('goes on with the next wait after a time that was over', function()
    local c, ws, ctx = pair.open()
    waits.run(ctx, function()
      for i = 1, 20 do
        assert.same({ nil, 'timeout' }, { ws:receive(0.0001) })
        c:send(waits.text(i .. ''))
        assert.equal(i .. '', (ws:receive()))
      end
    end)
  end)

  -- --- Who else receives ---

  it('raises for a second receiver, and the first goes on', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local got = {}
    local function receive_all()
      for _ = 1, 3 do
        local data = assert(ws:receive())
        got[#got + 1] = data
      end
    end
    for round = 1, 3 do -- at first it is noted, then not
      local first = ctx:spawn(receive_all)
      waits.wait_for_waiting(ctx, first)
      for i = 1, 3 do
        waits.run(ctx, function()
          waits.expect_raised('.*somebody else waits for its messages', function() ws:receive() end)
        end)
        waits.expect_raised('.*somebody else waits', function() ws:receive() end)
        if i < 3 then
          local before = #got
          c:text(('%d.%d'):format(round, i))
          loop.serve_until(ctx, function() return #got > before end, 'the message')
        end
      end
      c:text(('%d.3'):format(round))
      assert.same({ true }, { waits.finish(ctx, first) })
    end
    assert.same({ '1.1', '1.2', '1.3', '2.1', '2.2', '2.3', '3.1', '3.2', '3.3' }, got)
  end)

  it('may be called by one coroutine after the other', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    for i = 1, 5 do
      local thread = ctx:spawn(function() return (ws:receive()) end)
      waits.wait_for_waiting(ctx, thread)
      c:text(i .. '')
      assert.same({ true, i .. '' }, { waits.finish(ctx, thread) })
      c:text 'outside'
      assert.equal('outside', (ws:receive()))
    end
  end)

  it('raises where a function has the messages', function()
    for _, name in ipairs { 'on_receive', 'on_receive_chunk' } do
      local _, ws, ctx = pair.open(nil, function(ws) ws[name](ws, function() end) end)
      waits.run(ctx, function()
        waits.expect_raised('.*go to a function', function() ws:receive() end)
      end)
      waits.expect_raised('.*go to a function', function() ws:receive(1) end)
    end
  end)

  it('raises when a function gets the messages for which it waits', function()
    for _, name in ipairs { 'on_receive', 'on_receive_chunk' } do
      for _, seconds in ipairs { false, 100 } do
        local got = {}
        local c, ws, ctx = pair.open { on_error = function(why) got[#got + 1] = why:match '[^\n]*' end }
        local thread = ctx:spawn(function()
          ws:receive(0)
          assert.equal('a', (ws:receive(seconds or nil)))
          assert.equal('b', (ws:receive(seconds or nil)))
          ws:receive(seconds or nil)
        end)
        waits.wait_for_waiting(ctx, thread)
        c:text 'a'
        c:text 'b'
        c:expect_nothing()
        ws[name](ws, function(_, data) got[#got + 1] = data end)
        local _, why, message = waits.finish(ctx, thread)
        assert.equal('failed', why)
        assert.matches('go to a function', message)
        c:text 'c'
        c:expect_nothing()
        assert.equal(2, #got)
        assert.matches('go to a function', got[1])
        assert.equal('c', got[2])
      end
    end
  end)

  it('leaves what is unread to a function that comes, before what comes later', function()
    for _, name in ipairs { 'on_receive', 'on_receive_chunk' } do
      local got = {}
      local c, ws, ctx = pair.open()
      ws:receive(0)
      c:send(waits.text 'a' .. client.frame(client.BINARY, 'b') .. waits.text 'c')
      c:expect_nothing()
      assert.equal('a', (ws:receive()))
      ctx:after(0, function()
        ws[name](ws, function(given, data, ...)
          assert(rawequal(given, ws))
          got[#got + 1] = data .. ' ' .. tostring((select(select('#', ...), ...)))
        end)
        assert.equal(0, #got)
      end)
      c:send(waits.text 'd')
      loop.serve_until(ctx, function() return #got == 3 end, 'the messages')
      c:send(waits.text 'e')
      c:expect_nothing()
      assert.same({ 'b 1', 'c 0', 'd 0', 'e 0' }, got)
    end
  end)

  it('leaves what is unread to a function that ends the websocket, or fails', function()
    for _, ending in ipairs { 'close', 'error', 'destroy' } do
      local got, errors = {}, {}
      local c, ws, ctx = pair.open { on_error = function(why) errors[#errors + 1] = why end }
      ws:receive(0)
      c:send(waits.text('a'):rep(3))
      c:expect_nothing()
      ws:on_receive(function(_, data)
        got[#got + 1] = data
        if ending == 'close' then ws:close(4000) end
        if ending == 'error' then error 'oops' end
        if ending == 'destroy' then ctx:destroy() end
      end)
      c:expect_close(({ close = 4000, error = 1011, destroy = 1001 })[ending])
      assert.same({ 'a' }, got)
      assert.equal(ending == 'error' and 1 or 0, #errors)
      if ending == 'error' then assert.matches('wait_receive_spec.lua:%d+: oops\nstack traceback:\n', errors[1]) end
    end
  end)

  -- --- Ends ---

  it('returns "closed" to whom another coroutine closes the websocket', function()
    for round = 1, 2 do
      local c, ws, ctx = pair.open()
      ws:receive(0)
      local thread = ctx:spawn(function()
        if round == 2 then assert.equal('first', (ws:receive())) end
        return ws:receive()
      end)
      waits.wait_for_waiting(ctx, thread)
      if round == 2 then
        c:text 'first'
        c:expect_nothing()
      end
      waits.run(ctx, function() ws:close(4001, 'enough') end)
      assert.same({ true, nil, 'closed', 4001, 'enough' }, { waits.finish(ctx, thread) })
      assert.same({ nil, 'closed', 4001, 'enough' }, { ws:receive() })
      assert.same({ nil, 'closed', 4001, 'enough' }, { ws:receive(0) })
      c:expect_close(4001, 'enough')
    end
  end)

  it('returns "closed" to whom close or terminate drops what was unread', function()
    for _, name in ipairs { 'close', 'terminate' } do
      local c, ws, ctx = pair.open()
      ws:receive(0)
      c:send(waits.text('x'):rep(3))
      c:expect_nothing()
      waits.run(ctx, function()
        assert.equal('x', (ws:receive()))
        ws[name](ws)
        local data, why, code = ws:receive()
        assert.same({ nil, 'closed', name == 'close' and 1005 or 1006 }, { data, why, code })
      end)
    end
  end)

  it('returns what the peer had sent before it closed, then "closed"', function()
    for _, ending in ipairs { 'close', 'reset', 'fin' } do
      local c, ws, ctx = pair.open()
      ws:receive(0)
      local sent = waits.text 'a' .. client.frame(client.BINARY, 'b')
      if ending == 'close' then sent = sent .. client.frame(client.CLOSE, client.close_body(4002, 'bye')) end
      c:send(sent)
      if ending == 'close' then
        loop.serve_until(ctx, function() return ws:state() == 'closed' end, 'the end')
      else
        c:expect_nothing()
        if ending == 'reset' then c:reset() else c:close() end
        loop.serve_until(ctx, function() return ws:state() == 'closed' end, 'the end')
      end
      local code, reason = ending == 'close' and 4002 or 1006, ending == 'close' and 'bye' or nil
      local function check()
        assert.same({ 'a', 0 }, { ws:receive() })
        assert.same({ 'b', 1 }, { ws:receive(1) })
        for _ = 1, 2 do
          local results = { ws:receive() }
          assert.same({ nil, 'closed', code }, { results[1], results[2], results[3] })
          if reason then assert.equal(reason, results[4]) end
        end
      end
      if ending == 'fin' then check() else waits.run(ctx, check) end
    end
  end)

  it('returns to whom waits what the peer has sent together with its Close frame', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local got = {}
    local thread = ctx:spawn(function()
      while true do
        local data, why, code, reason = ws:receive()
        if not data then return why, code, reason end
        got[#got + 1] = data
      end
    end)
    waits.wait_for_waiting(ctx, thread)
    c:send(waits.text 'a' .. waits.text 'b' .. client.frame(client.CLOSE, client.close_body(1000, 'x')))
    assert.same({ true, 'closed', 1000, 'x' }, { waits.finish(ctx, thread) })
    assert.same({ 'a', 'b' }, got)
    c:expect_close(1000)
  end)

  it('returns how a client ended, with its failure', function()
    local ctx, url = clients.server(nil, function(ws) ws:close(4000, 'go') end)
    local ws = ctx:connect(url)
    waits.run(ctx, function()
      local data, why, code, reason, failure = ws:receive()
      assert.same({ nil, 'closed', 4000, 'go', 'closed' }, { data, why, code, reason, failure.kind })
    end)
    ws = ctx:connect(('ws://127.0.0.1:%d'):format(loop.free_port()))
    local data, why, code, _, failure = ws:receive()
    assert.same({ nil, 'closed', 1006, 'refused' }, { data, why, code, failure.kind })
  end)

  it('returns when the context is destroyed, in a coroutine and outside', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local results
    ctx:spawn(function() results = { ws:receive() } end)
    loop.step(ctx)
    c:text 'x'
    loop.serve_until(ctx, function() return results end, 'the message')
    results = nil
    ctx:spawn(function() results = { ws:receive() } end)
    loop.step(ctx)
    ctx:destroy()
    assert.same({ nil, 'closed', 1001 }, { results[1], results[2], results[3] })
    assert.same({ nil, 'closed', 1001 }, { ws:receive(), select(2, ws:receive()), (select(3, ws:receive())) })

    c, ws, ctx = pair.open()
    ws:receive(0)
    ctx:after(0, function() ctx:destroy() end)
    local data, why, code = ws:receive()
    assert.same({ nil, 'closed', 1001 }, { data, why, code })
    c:expect_close(1001)
  end)

  it('is collected with all that wait when its context is', function()
    local weak = setmetatable({}, { __mode = 'kv' })
    local went_on = false
    local c
    do
      local ws, ctx
      c, ws, ctx = pair.open()
      ws:receive(0)
      for i = 1, 3 do
        weak[i] = ctx:spawn(function()
          weak['co' .. i] = coroutine.running()
          if i == 1 then ws:receive() end
          if i == 2 then websockets.sleep(100) end
          if i == 3 then ws:wait_closed() end
          went_on = true
        end)
      end
      loop.step(ctx)
      assert(weak.co3)
      weak.ctx = ctx
      c.ctx = {}
    end
    leaks.collect()
    assert.is_nil(next(weak))
    c:expect_close(1001)
    assert.is_false(went_on)
  end)

  it('is collected with all that wait when a context is destroyed that nobody has', function()
    local weak = setmetatable({}, { __mode = 'k' })
    local c
    do
      local ws, ctx
      c, ws, ctx = pair.open()
      local co = coroutine.create(function()
        while ws:receive() do end
        coroutine.yield()
      end)
      weak[co], weak[ctx], weak[ws] = true, true, true
      assert(coroutine.resume(co))
      c:text 'x'
      c:expect_nothing()
      leaks.collect()
      assert.equal('suspended', coroutine.status(co))
      ctx:destroy()
      c.ctx = {}
    end
    leaks.collect()
    assert.is_nil(next(weak))
  end)

  -- --- Coroutines of others ---

  it('waits in a plain coroutine, which the context resumes', function()
    local c, ws, ctx = pair.open()
    local got = {}
    local co = coroutine.create(function()
      for i = 1, 3 do
        got[i] = ws:receive()
      end
    end)
    assert.same({ true }, { coroutine.resume(co) })
    for i = 1, 3 do
      assert.equal('suspended', coroutine.status(co))
      c:text(i .. '')
      c:expect_nothing()
    end
    assert.same({ '1', '2', '3' }, got)
    assert.equal('dead', coroutine.status(co))
  end)

  it('raises in a coroutine that somebody else resumes, and is not waited for', function()
    local c, ws, ctx = pair.open()
    for _, seconds in ipairs { false, 100 } do
      for _, argument in ipairs { false, true, 'x' } do
        for before = 0, 1 do
          local co = coroutine.create(function()
            for _ = 1, before do
              ws:receive(seconds or nil)
            end
            ws:receive(seconds or nil)
          end)
          assert(coroutine.resume(co))
          if before > 0 then c:text 'before' end
          c:expect_nothing()
          local ok, why = coroutine.resume(co, argument or nil)
          assert.is_false(ok)
          assert.matches('^spec/wait_receive_spec.lua:%d+: .*was resumed by somebody else', why)
          c:text 'y'
          c:expect_nothing()
          assert.equal('y', (ws:receive()))
          loop.step(ctx)
        end
      end
    end
  end)

  it('goes on within pcall, or raises and waits no more', function()
    local c, ws, ctx = pair.open()
    waits.run(ctx, function()
      for _ = 1, 2 do
        for _, seconds in ipairs { false, 100 } do
          local thread = ctx:spawn(function()
            return pcall(function()
              assert(ws:receive(seconds or nil) == 'a')
              error 'oops'
            end)
          end)
          if waits.is_puc_51 then
            local joined, ok, why = thread:join()
            assert.same({ true, false }, { joined, ok })
            assert.matches('attempt to yield across', why)
            c:send(waits.text 'b')
            assert.equal('b', (ws:receive()))
          else
            c:send(waits.text 'a')
            local joined, ok, why = thread:join()
            assert.same({ true, false }, { joined, ok })
            assert.matches('oops', why)
          end
        end
      end
    end)
  end)

  it('goes on within an iterator and a metamethod, or raises and waits no more', function()
    local c, ws, ctx = pair.open()
    local object = setmetatable({}, { __index = function() return (ws:receive()) end })
    local function iterate()
      for data in function() return (ws:receive()) end do
        return data
      end
    end
    waits.run(ctx, function()
      for i, fn in ipairs { iterate, function() return object.field end } do
        local thread = ctx:spawn(pcall, fn)
        c:send(waits.text(i .. ''))
        local joined, ok, data = thread:join()
        assert.equal(true, joined)
        if waits.is_puc_51 then
          assert.is_false(ok)
          assert.matches('attempt to yield across', data)
          data = ws:receive()
        end
        assert.equal(i .. '', data)
      end
    end)
  end)

  it('waits in a coroutine within a coroutine', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local got = {}
    waits.run(ctx, function()
      local inner = coroutine.wrap(function()
        for _, seconds in ipairs { false, 100 } do
          local data = ws:receive(seconds or nil)
          got[#got + 1] = data
        end
        got[#got + 1] = 'end'
      end)
      inner()
      got[#got + 1] = 'outer'
      c:send(waits.text 'a' .. waits.text 'b')
      while got[#got] ~= 'end' do
        websockets.sleep(0.001)
      end
    end)
    assert.same({ 'outer', 'a', 'b', 'end' }, got)
  end)

  it('raises in a callback, and names spawn', function()
    local _, ws, ctx = pair.open()
    local failures = {}
    local function try()
      for _, wait in ipairs { function() ws:receive() end, function() ws:receive(1) end,
        function() websockets.sleep(0) end, function() ws:wait_closed() end } do
        local ok, why = pcall(wait)
        failures[#failures + 1] = tostring(ok) .. why
      end
    end
    ws:receive(0)
    ctx:after(0, try)
    loop.serve_until(ctx, function() return #failures == 4 end)
    assert.equal(4, #failures)
    for _, why in ipairs(failures) do
      assert.matches('^falsespec/wait_receive_spec.lua:%d+: websocket [%w_]+ inside a callback, .*context:spawn', why)
    end
  end)

  it('waits in a coroutine of a callback', function()
    local c, ws, ctx = pair.open()
    local got = {}
    ctx:after(0, function()
      for i = 1, 2 do
        coroutine.wrap(function()
          websockets.sleep(i / 1000)
          got[#got + 1] = i
        end)()
      end
      coroutine.wrap(function()
        local data = ws:receive()
        got[data] = true
      end)()
      got[1] = 'callback'
      c:send(waits.text 'x')
    end)
    loop.serve_until(ctx, function() return #got == 3 and got.x end, 'the coroutines')
    assert.same({ 'callback', 1, 2, x = true }, got)
  end)

  it('may be called by a finalizer', function()
    local newproxy = rawget(_G, 'newproxy')
    -- An object that cannot be reached, whose finalizer calls the function.
    local function drop(fn)
      if newproxy then
        getmetatable(newproxy(true)).__gc = fn
      else
        setmetatable({}, { __gc = fn })
      end
    end
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local outcomes = 0
    local function finalize()
      pcall(ws.receive, ws, 0.001)
      pcall(ws.wait_closed, ws, 0.001)
      pcall(ws.drain, ws)
      outcomes = outcomes + 1
    end
    drop(finalize)
    leaks.collect()
    waits.run(ctx, function()
      drop(finalize)
      leaks.collect()
      c:send(waits.text 'x')
      assert.equal('x', (ws:receive()))
    end)
    ctx:after(0, function()
      drop(finalize)
      leaks.collect()
    end)
    loop.serve_until(ctx, function() return outcomes == 3 end, 'the finalizers')
  end)

  it('may run collections of all that is garbage whenever it waits', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    local stops
    ctx:spawn(function()
      while not stops do
        leaks.collect()
        websockets.sleep(0)
      end
    end)
    waits.run(ctx, function()
      for i = 1, 10 do
        c:send(waits.text(i .. ''))
        assert.equal(i .. '', (ws:receive()))
        assert.same({ nil, 'timeout' }, { ws:receive(0.0001) })
      end
      stops = true
    end)
  end)

  -- --- How much is left unread ---

  it('leaves no more unread than 64 KiB, then the sender has to wait; nothing is lost', function()
    local c, ws, ctx = pair.open(nil, nil, { receive_buffer = 4096 })
    ws:receive(0)
    local payload = ('x'):rep(1000)
    local frame = waits.text(payload)
    local batch, sent = frame:rep(1000), 0
    local before = collectgarbage 'count'
    local idle = 0
    while idle < 20 do
      local count = c:send_some(batch, sent % #frame + 1)
      sent = sent + count
      idle = count == 0 and idle + 1 or 0
      loop.step(ctx, 1)
    end
    leaks.collect()
    assert.is_true(collectgarbage 'count' - before < 2000)
    assert.is_true(ctx:stats().messages_received * 1032 <= 66 * 1024, 'messages: ' .. ctx:stats().messages_received)
    local expected = math.ceil(sent / #frame)
    if sent % #frame > 0 then frame = frame:sub(sent % #frame + 1) else frame = '' end
    waits.run(ctx, function()
      for i = 1, expected do
        if i == expected and frame ~= '' then
          while frame ~= '' do
            frame = frame:sub(c:send_some(frame) + 1)
            if frame ~= '' then websockets.sleep(0.001) end
          end
        end
        local data = ws:receive(20 * loop.time_factor)
        assert(data == payload)
      end
      assert.same({ nil, 'timeout' }, { ws:receive(short_s) })
    end)
    c:expect_nothing()
  end)

  it('leaves as much unread as receive_buffer of a client says, and one message always', function()
    local served
    local ctx, url = clients.server({ max_backpressure = 2 ^ 26 }, function(ws) served = ws end)
    local ws = clients.open(ctx, url, { receive_buffer = 10000 })
    for i = 1, 1000 do
      assert.equal(0, served:write(('%04d'):format(i):rep(250)))
    end
    local function count() return ctx:stats().messages_sent end
    loop.serve_until(ctx, function() return count() == 1000 end)
    for _ = 1, 20 do
      loop.step(ctx, 1)
    end
    waits.run(ctx, function()
      for i = 1, 1000 do
        assert(ws:receive() == ('%04d'):format(i):rep(250))
      end
    end)
    served:write(('x'):rep(100000))
    served:write(('y'):rep(100000))
    assert.equal(('x'):rep(100000), (ws:receive()))
    assert.equal(('y'):rep(100000), (ws:receive()))
    for _, value in ipairs { 0, -1, 2 ^ 31, 'x', {} } do
      assert.error_matches(function() ctx:connect(url, { receive_buffer = value }) end, 'receive_buffer')
    end
  end)

  it('lets the sender wait: its messages arrive as they are received', function()
    local written, n = 0, 1000
    local payload = ('x'):rep(20000)
    local ctx, url = clients.server({ max_backpressure = 100000 }, websockets.handler(function(ws)
      for _ = 1, n do
        assert(ws:write(payload) == 0)
        written = written + 1
        assert(ws:drain(50000))
      end
    end))
    local ws = clients.open(ctx, url)
    local last
    loop.serve_until(ctx, function()
      local before = last
      last = written
      for _ = 1, 10 do
        loop.step(ctx, 1)
      end
      return last > 0 and before == last
    end, 'the sender to wait')
    assert.is_true(written < n)
    waits.run(ctx, function()
      for _ = 1, n do
        assert(ws:receive() == payload)
      end
      assert.same({ nil, 'closed', 1000 }, { ws:receive(), select(2, ws:receive()), (select(3, ws:receive())) })
    end)
  end)

  it('sees pings, Close frames and the end of a websocket from which nobody receives', function()
    local ended
    local function open()
      local c, ws, ctx = pair.open()
      ws:receive(0)
      ws:on_closed(function(_, code) ended = code end)
      return c, ws, ctx
    end
    local c, ws, ctx = open()
    c:send(waits.text('x'):rep(100))
    c:expect_nothing() -- a ping is answered
    assert.equal(0, ws:write 'y')
    c:expect_text 'y'
    c:finish(4003)
    assert.equal(4003, ended)

    ended = nil
    c, ws, ctx = open()
    c:send(waits.text(('x'):rep(1000)):rep(100)) -- reading has stopped
    loop.serve_until(ctx, function() return ctx:stats().messages_received > 60 end, 'a full inbox')
    ws:write 'z'
    c:expect_text 'z'
    c:reset()
    loop.serve_until(ctx, function() return ended or ws:write 'x' ~= 0 end, 'the end, which a write finds')
    loop.serve_until(ctx, function() return ended end, 'the end')
    assert.equal(1006, ended)
    waits.run(ctx, function()
      for _ = 1, 60 do
        assert.equal(1000, #ws:receive())
      end
    end)
  end)

  it('ends a websocket that is full when nobody receives for idle_timeout', function()
    local ended
    local c, ws, ctx = pair.open { idle_timeout = 0.1 }
    ws:receive(0)
    ws:on_closed(function(_, code, reason) ended = { code, reason } end)
    c:send_some(waits.text(('x'):rep(1000)):rep(70))
    loop.serve_until(ctx, function() return ended end, 'the end')
    assert.equal(1011, ended[1])
    assert.same({ 1011, 'nobody receives' }, { ws:close_status() })
    c:expect_close(1011, 'nobody receives')
  end)

  it('ends no websocket that is full while somebody receives now and then', function()
    local ended
    local c, ws, ctx = pair.open { idle_timeout = 0.3 * loop.time_factor }
    ws:receive(0)
    ws:on_closed(function(_, code, reason) ended = code .. reason end)
    local frame = waits.text(('x'):rep(1000))
    waits.run(ctx, function()
      for _ = 1, 20 do
        local sent = 0
        while sent < 70 * #frame do
          local count = c:send_some(frame:rep(70), sent + 1)
          sent = sent + count
          if count == 0 then break end
        end
        websockets.sleep(0.05 * loop.time_factor)
        for _ = 1, math.floor(sent / #frame) do
          if not ws:receive(0) then break end
        end
      end
    end)
    assert.is_nil(ended)
  end)

  it('reads on when flow control is taken back, but not while it is full', function()
    local c, ws, ctx = pair.open()
    ws:receive(0)
    ws:rx_flow_control(false)
    c:send_some(waits.text 'x')
    assert.same({ nil, 'timeout' }, { ws:receive(short_s) })
    ws:rx_flow_control(true)
    assert.equal('x', (ws:receive()))
    local frame = waits.text(('x'):rep(1000))
    c:send(frame:rep(70))
    loop.serve_until(ctx, function() return ctx:stats().messages_received > 60 end, 'a full inbox')
    ws:rx_flow_control(false)
    ws:rx_flow_control(true)
    c:send_some(frame:rep(100))
    for _ = 1, 10 do
      loop.step(ctx, 1)
    end
    assert.is_true(ctx:stats().messages_received < 69)
  end)

  -- --- Arguments ---

  it('raises wrong arguments at the line of its caller', function()
    local _, ws, ctx = pair.open()
    local function check()
      for _, value in ipairs { 'x', -1, 0 / 0, {}, true } do
        waits.expect_raised('.*number of seconds', function() ws:receive(value) end)
      end
      for _, value in ipairs { {}, 1, 'x' } do
        assert.error_matches(function() ws.receive(value) end, 'websockets.websocket')
        assert.error_matches(function() ws.messages(value) end, 'websockets.websocket')
      end
      assert.error_matches(function() ws.receive() end, 'websockets.websocket')
    end
    check()
    waits.run(ctx, check)
  end)

  it('raises for a request', function()
    local errors = {}
    local ctx, port = loop.context { protocols = { p = function() end }, on_http = function(request)
      local ok, why = pcall(request.receive, request)
      errors[#errors + 1] = tostring(ok) .. why
      request:respond(200, nil, '')
    end }
    local c = client.connect(ctx, port)
    c:send 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    assert.equal(200, (c:read_response()))
    assert.matches('^false.*this is a request', errors[1])
  end)
end)

describe('messages', function()
  leaks.check_each(before_each, after_each)

  it('is an iterator that ends with the websocket', function()
    local ctx, url = clients.server(nil, function(ws)
      for i = 1, 3 do
        ws:write(i .. '', i % 2)
      end
      ws:close(1000)
    end)
    local function check()
      local got = {}
      for data, kind in ctx:connect(url):messages() do
        got[#got + 1] = data .. kind
      end
      assert.same({ '11', '20', '31' }, got)
    end
    check()
    if not waits.is_puc_51 then return waits.run(ctx, check) end
    waits.run(ctx, function()
      local ws = ctx:connect(url)
      waits.expect_raised('.*ws:receive', function() for _ in ws:messages() do end end)
      ws:close()
    end)
  end)
end)
