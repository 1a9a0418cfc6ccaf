-- SPDX-License-Identifier: MIT
-- Waiting for what is no message: wait_open, drain, wait_closed; and close_status.
local client = require 'spec.support.client'
local clients = require 'spec.support.clients'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local waits = require 'spec.support.waits'
local websockets = require 'websockets'

local at_once = { delay = 0, max_delay = 0 }
local short_s = 0.01

local function refused_url() return ('ws://127.0.0.1:%d/'):format(loop.free_port()) end

-- Runs a function in a coroutine of the context, then outside of coroutines.
local function in_both_places(ctx, fn)
  waits.run(ctx, fn)
  fn()
end

describe('wait_open', function()
  after_each(clients.close_all)
  require('spec.support.leaks').check_each(before_each, after_each)

  it('returns when a client is open, and at once from then on', function()
    local ctx, url = clients.server()
    in_both_places(ctx, function()
      local ws = ctx:connect(url)
      assert.equal('connecting', ws:state())
      assert.same({ true }, { ws:wait_open() })
      assert.equal('open', ws:state())
      assert.same({ true }, { ws:wait_open(0) })
    end)
    local _, ws = pair.open()
    assert.same({ true }, { ws:wait_open() })
  end)

  it('returns to all that wait', function()
    local ctx, url = clients.server()
    local ws = ctx:connect(url)
    local opened = 0
    for _ = 1, 10 do
      ctx:spawn(function()
        assert(ws:wait_open() == true)
        opened = opened + 1
      end)
    end
    assert.is_true(ws:wait_open())
    loop.serve_until(ctx, function() return opened == 10 end, 'the others')
  end)

  it('returns when it takes too long, is cancelled, or is no use', function()
    local ctx = clients.server()
    local _, url = clients.raw_server(ctx)
    in_both_places(ctx, function()
      local ws = ctx:connect(url)
      assert.same({ nil, 'timeout' }, { ws:wait_open(short_s) })
      assert.same({ nil, 'timeout' }, { ws:wait_open(0) })
      local thread = ctx:spawn(function() return ws:wait_open() end)
      ctx:after(short_s, function() thread:cancel() end)
      assert.same({ true, nil, 'cancelled' }, { thread:join() })
      thread = ctx:spawn(function() return ws:wait_open() end)
      ctx:after(short_s, function() ws:close(1000, 'no more') end)
      local ok, opened, why, code, reason, failure = thread:join()
      assert.same({ true, nil, 'closed', 1006 }, { ok, opened, why, code })
      assert.is_string(reason)
      assert.is_truthy(failure)
      opened, why, code = ws:wait_open()
      assert.same({ nil, 'closed', 1006 }, { opened, why, code })
      opened, why, code, _, failure = ctx:connect(refused_url()):wait_open()
      assert.same({ nil, 'closed', 1006, 'refused' }, { opened, why, code, failure.kind })
    end)
  end)

  it('waits for the next opening of a client that reconnects', function()
    local served
    local ctx, url = clients.server(nil, function(ws) served = ws end)
    local ws, is_lost = ctx:connect(url, { reconnect = at_once }), nil
    ws:on_retry(function()
      is_lost = true
      return short_s
    end)
    in_both_places(ctx, function()
      for _ = 1, 3 do
        assert.is_true(ws:wait_open())
        while not served do
          ctx:spawn(function() websockets.sleep(0.001) end):join() -- not of the default context
        end
        served:terminate()
        served, is_lost = nil, false
        while not is_lost do
          ctx:spawn(function() websockets.sleep(0.001) end):join()
        end
        assert.is_true(ws:wait_open())
        assert.equal('open', ws:state())
      end
    end)
    ws:close()
  end)
end)

describe('receive of a client that reconnects', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('goes on across its openings', function()
    local count = 0
    local ctx, url = clients.server(nil, function(ws)
      count = count + 1
      ws:write(('hello %d'):format(count))
      if count % 2 == 0 then ws:close(1001) end
      if count % 2 == 1 then ws:on_receive(function() ws:terminate() end) end
    end)
    local ws = ctx:connect(url, { reconnect = at_once })
    in_both_places(ctx, function()
      for _ = 1, 4 do
        assert.matches('^hello %d+$', (ws:receive()))
        if ws:state() == 'open' then ws:write 'go' end
      end
    end)
    assert.is_true(count >= 8)
    ws:close(1000, 'enough')
    local data, why, code, reason = ws:receive()
    assert.same({ nil, 'closed', 1000, 'enough' }, { data, why, code, reason })
  end)
end)

describe('drain', function()
  after_each(clients.close_all)
  require('spec.support.leaks').check_each(before_each, after_each)

  local payload = ('x'):rep(4000000)

  it('returns when no more than so many bytes wait', function()
    for _, place in ipairs { 'spawned', 'outside' } do
      local c, ws, ctx = pair.open({ max_backpressure = 2 ^ 26 }, nil, { receive_buffer = 4096 })
      local function check()
        assert.same({ true }, { ws:drain() }) -- nothing waits
        assert.equal(0, ws:write(payload))
        local all = ws:buffered_amount()
        assert.is_true(all > 0)
        assert.same({ true }, { ws:drain(all) })
        assert.same({ nil, 'timeout' }, { ws:drain(0, short_s) })
        assert.same({ nil, 'timeout' }, { ws:drain(nil, 0) })
        local reader = ctx:every(0.001, function() c:pump() end)
        assert.same({ true }, { ws:drain(math.floor(all / 2)) })
        assert.is_true(ws:buffered_amount() <= all / 2)
        assert.is_true(ws:buffered_amount() > 0)
        assert.same({ true }, { ws:drain() })
        assert.equal(0, ws:buffered_amount())
        reader:cancel()
      end
      if place == 'spawned' then waits.run(ctx, check) else check() end
      c:expect_text(payload)
    end
  end)

  it('leaves on_server_writeable alone', function()
    local drained = 0
    local c, ws, ctx = pair.open({ max_backpressure = 2 ^ 26 }, nil, { receive_buffer = 4096 })
    ws:on_server_writeable(function() drained = drained + 1 end)
    assert.equal(0, ws:write(payload))
    local thread = ctx:spawn(function() return ws:drain() end)
    c:expect_text(payload)
    assert.same({ true, true }, { waits.finish(ctx, thread) })
    loop.serve_until(ctx, function() return drained > 0 end, 'on_server_writeable')
    loop.step(ctx)
    assert.equal(1, drained)
  end)

  it('ends with the websocket, a timeout, a cancellation', function()
    for _, ending in ipairs { 'close', 'terminate', 'peer', 'cancel', 'destroy' } do
      local c, ws, ctx = pair.open({ max_backpressure = 2 ^ 26 }, nil, { receive_buffer = 4096 })
      assert.equal(0, ws:write(payload))
      local thread = ctx:spawn(function() return ws:drain() end)
      waits.wait_for_waiting(ctx, thread)
      if ending == 'close' then ws:close(4000, 'x') end
      if ending == 'terminate' then ws:terminate() end
      if ending == 'peer' then c:reset() end
      if ending == 'cancel' then thread:cancel() end
      if ending == 'destroy' then ctx:destroy() end
      local ok, drained, why, code = waits.finish(ctx, thread)
      if ending == 'cancel' then
        assert.same({ true, nil, 'cancelled' }, { ok, drained, why, code })
      else
        local expected = ({ close = 4000, terminate = 1006, peer = 1006, destroy = 1001 })[ending]
        assert.same({ true, nil, 'closed', expected }, { ok, drained, why, code })
      end
    end
  end)

  it('waits for a client to open', function()
    local got = {}
    local ctx, url = clients.server(nil, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
    end)
    in_both_places(ctx, function()
      local ws = ctx:connect(url)
      ws:write 'early'
      assert.is_true(ws:drain())
      assert.equal('open', ws:state())
      ws:close()
      assert.is_true((ws:wait_closed()))
    end)
    assert.same({ 'early', 'early' }, got)
  end)

  it('says that a client is reconnecting', function()
    local ctx = clients.server()
    local server, url = clients.raw_server(ctx)
    local ws = ctx:connect(url, { reconnect = { delay = 100, max_delay = 100 } })
    local key = server:accept():match 'Sec%-WebSocket%-Key: (%C+)'
    server:send(clients.switching(key))
    assert.is_true(ws:wait_open())
    assert.equal(0, ws:write(payload))
    local thread = ctx:spawn(function() return ws:drain() end)
    waits.wait_for_waiting(ctx, thread)
    server:close()
    assert.same({ true, nil, 'reconnecting' }, { waits.finish(ctx, thread) })
    assert.same({ nil, 'reconnecting' }, { ws:drain() })
    waits.run(ctx, function() assert.same({ nil, 'reconnecting' }, { ws:drain(0, 1) }) end)
    ws:close()
  end)

  it('raises wrong arguments at the line of its caller', function()
    local _, ws, ctx = pair.open()
    in_both_places(ctx, function()
      for _, value in ipairs { 'x', -1, 0 / 0, {}, true } do
        waits.expect_raised("bad argument #1 to 'drain'", function() ws:drain(value) end)
        waits.expect_raised("bad argument #2 to 'drain'", function() ws:drain(0, value) end)
        waits.expect_raised("bad argument #1 to 'wait_open'", function() ws:wait_open(value) end)
        waits.expect_raised("bad argument #1 to 'wait_closed'", function() ws:wait_closed(value) end)
      end
      for _, name in ipairs { 'drain', 'wait_open', 'wait_closed', 'close_status' } do
        for _, value in ipairs { 1, 'x', ctx } do
          waits.expect_raised(".*websockets.websocket expected", function() ws[name](value) end)
        end
      end
    end)
  end)
end)

describe('wait_closed', function()
  after_each(clients.close_all)
  require('spec.support.leaks').check_each(before_each, after_each)

  it('returns once all has left and the peer has answered', function()
    local ctx = clients.server()
    for _, place in ipairs { 'spawned', 'outside' } do
      local server, url = clients.raw_server(ctx)
      local ws = ctx:connect(url)
      local key = server:accept():match 'Sec%-WebSocket%-Key: (%C+)'
      server:send(clients.switching(key))
      assert.is_true(ws:wait_open())
      local function check()
        ws:write 'last words'
        ws:close(1000, 'bye')
        assert.equal('closed', ws:state())
        assert.same({ nil, 'timeout' }, { ws:wait_closed(short_s) })
        ctx:after(short_s, function()
          server:send '\136\2\3\232'
          server:close()
        end)
        assert.same({ true, 1000, 'bye' }, { ws:wait_closed() })
        assert.same({ true, 1000, 'bye' }, { ws:wait_closed(0) })
        assert.same({ 1000, 'bye' }, { ws:close_status() })
      end
      if place == 'spawned' then waits.run(ctx, check) else check() end
    end
  end)

  it('waits for the peer of a server, too', function()
    for _, place in ipairs { 'spawned', 'outside' } do
      local c, ws, ctx = pair.open()
      local function check()
        ctx:after(short_s, function() ws:close(4000, 'bye') end)
        assert.same({ nil, 'timeout' }, { ws:wait_closed(0) })
        local thread = ctx:spawn(function() return ws:wait_closed() end)
        ctx:after(2 * short_s, function() thread:cancel() end)
        assert.same({ true, nil, 'cancelled' }, { thread:join() })
        assert.equal('closed', ws:state())
        assert.same({ nil, 'timeout' }, { ws:wait_closed(short_s) })
        ctx:after(short_s, function() c:send_close(4000) end)
        assert.same({ true, 4000, 'bye' }, { ws:wait_closed() })
      end
      if place == 'spawned' then waits.run(ctx, check) else check() end
      c:expect_close(4000, 'bye')
    end
  end)

  it('returns who has ended it, and how', function()
    local c, ws, ctx = pair.open()
    local thread = ctx:spawn(function() return ws:wait_closed() end)
    waits.wait_for_waiting(ctx, thread)
    assert.same({}, { ws:close_status() })
    c:finish(4005, 'so long')
    assert.same({ true, true, 4005, 'so long' }, { waits.finish(ctx, thread) })
    assert.same({ 4005, 'so long' }, { ws:close_status() })
    c, ws, ctx = pair.open()
    thread = ctx:spawn(function() return ws:wait_closed() end)
    c:reset()
    local results = { waits.finish(ctx, thread) }
    assert.same({ true, true, 1006 }, { results[1], results[2], results[3] })
    local client_ws = ctx:connect(refused_url())
    local closed, code, _, failure = client_ws:wait_closed()
    assert.same({ true, 1006, 'refused' }, { closed, code, failure.kind })
    code, _, failure = client_ws:close_status()
    assert.same({ 1006, 'refused' }, { code, failure.kind })
  end)

  it('returns when the context is destroyed', function()
    local _, ws, ctx = pair.open()
    local thread = ctx:spawn(function() return ws:wait_closed() end)
    waits.wait_for_waiting(ctx, thread)
    ctx:destroy()
    assert.same('ended', thread:status())
    assert.same({ 1001 }, { (ws:close_status()) })
    assert.is_true((ws:wait_closed()))
  end)
end)

describe('what is unread', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('is dropped by a local end, also after the one of the peer', function()
    for _, name in ipairs { 'close', 'terminate' } do
      for _, is_in_coroutine in ipairs { true, false } do
        local c, ws, ctx = pair.open()
        ws:receive(0)
        c:text 'unread'
        c:text 'unread, too'
        c:send(client.frame(client.CLOSE, client.close_body(1000)))
        loop.serve_until(ctx, function() return ws:state() == 'closed' end)
        local function take()
          assert.equal('unread', (ws:receive()))
          ws[name](ws)
          assert.same({ nil, 'closed', 1000, '' }, { ws:receive() })
        end
        if is_in_coroutine then waits.run(ctx, take) else take() end
      end
    end
  end)
end)

describe('a websocket of one context', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('may be waited for in a coroutine of another', function()
    local ctx, url = clients.server(nil, waits.echo)
    local other = loop.context { port = 0 }
    local got = {}
    local thread = other:spawn(function()
      local ws = ctx:connect(url)
      assert.is_true(ws:wait_open())
      for i = 1, 3 do
        ws:write(i .. '')
        got[i] = ws:receive(20 * loop.time_factor)
      end
      got[4] = ws:drain()
      ws:close()
      got[5] = ws:wait_closed()
    end)
    loop.serve_until({ ctx, other }, function() return thread:status() == 'ended' end, 'the coroutine')
    assert.same({ true }, { thread:join() })
    assert.same({ '1', '2', '3', true, true }, got)
  end)

  it('is no reason for a coroutine to leave its own context', function()
    local c, ws, ctx = pair.open()
    local other = loop.context { port = 0 }
    ws:receive(0)
    local received, woken_by
    local thread = other:spawn(function()
      received = ws:receive(100)
      websockets.sleep(0)
      woken_by = 'sleep'
    end)
    loop.step(other)
    c:text 'x'
    loop.serve_until(ctx, function() return received end)
    for _ = 1, 10 do loop.step(ctx) end
    assert.is_nil(woken_by)
    loop.serve_until({ ctx, other }, function() return thread:status() == 'ended' end, 'the coroutine')
    assert.equal('sleep', woken_by)
  end)

  it('is what a coroutine sleeps in no more once it is destroyed', function()
    local _, _, ctx = pair.open()
    local results = {}
    local thread = ctx:spawn(function()
      results[1] = { websockets.sleep(100) }
      results[2] = { pcall(websockets.sleep, 0) }
      results[3] = { pcall(websockets.connect, 'ws://127.0.0.1/') }
    end)
    waits.wait_for_waiting(ctx, thread)
    ctx:destroy()
    assert.same({ nil, 'cancelled' }, results[1])
    for i = 2, 3 do
      assert.is_false(results[i][1])
      assert.matches('websocket context destroyed', results[i][2])
    end
  end)

  it('ends the wait of a coroutine of another when it is destroyed', function()
    local c, ws, ctx = pair.open()
    local other = loop.context { port = 0 }
    ws:receive(0)
    local receiver = other:spawn(function() return select(2, ws:receive(100)) end)
    local joiner = other:spawn(function() return ctx:spawn(function() return ws:wait_closed() end):join() end)
    loop.step(other)
    loop.step(ctx)
    assert.equal('waiting', receiver:status())
    ctx:destroy()
    loop.serve_until(other, function()
      return receiver:status() == 'ended' and joiner:status() == 'ended'
    end, 'both coroutines')
    assert.same({ true, 'closed', 1001, '' }, { receiver:join() })
    c:expect_close(1001)
  end)
end)
