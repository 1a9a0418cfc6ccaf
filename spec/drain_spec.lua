-- SPDX-License-Identifier: MIT
-- buffered_amount, and on_server_writeable: the end of what waited.
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local TEXT, CONTINUATION, NO_FIN = websockets.WRITE_TEXT, websockets.WRITE_CONTINUATION, websockets.WRITE_NO_FIN
local is_slow = loop.time_factor > 1
-- More than the kernel takes.
local big = ('x'):rep(is_slow and 8e6 or 16e6)

describe('on_server_writeable', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- A client, its websocket, the context, and a table with the number of calls.
  local function open(config, options, on_drained)
    config.max_backpressure = config.max_backpressure or 1e9
    local drained = { count = 0 }
    local c, ws, ctx = pair.open(config, nil, options)
    -- The answer to the handshake has left.
    c:expect_nothing()
    ws:on_server_writeable(function(self)
      drained.count = drained.count + 1
      assert(self == ws)
      assert(self:buffered_amount() == 0)
      if on_drained then on_drained(self, drained.count, ctx) end
    end)
    return c, ws, ctx, drained
  end

  -- Whatever is called later has had its chance then.
  local function settle(ctx)
    for _ = 1, 10 do
      loop.step(ctx)
    end
  end

  it('is not called when nothing was sent', function()
    local c, _, ctx, drained = open {}
    settle(ctx)
    c:send_frame(client.PONG)
    c:text 'x'
    settle(ctx)
    assert.equal(0, drained.count)
  end)

  it('is called once for what left at once', function()
    local c, ws, ctx, drained = open {}
    for i = 1, 5 do
      ws:write 'x'
      c:expect_text 'x'
      settle(ctx)
      assert.equal(i, drained.count)
    end
    ctx:batch(function()
      for _ = 1, 100 do
        ws:write 'x'
      end
    end)
    settle(ctx)
    assert.equal(6, drained.count)
    ctx:broadcast('p', 'x')
    settle(ctx)
    assert.equal(7, drained.count)
  end)

  it('is called once when a slow reader has taken everything', function()
    for _, config in ipairs { {}, tls.config() } do
      local c, ws, ctx, drained = open(config, { tls = config.ssl_cert_path and {} or nil, receive_buffer = 65536 })
      for i = 1, 3 do
        ws:write(big)
        ctx:broadcast('p', 'small')
        settle(ctx)
        assert.equal(i - 1, drained.count)
        assert.is_true(ws:buffered_amount() > 0)
        c:expect_text(big)
        c:expect_text 'small'
        settle(ctx)
        assert.equal(0, ws:buffered_amount())
        assert.equal(i, drained.count)
      end
    end
  end)

  it('is not called for what has left while something waits that was written since', function()
    local c, ws, ctx, drained = open({}, { receive_buffer = 65536 })
    ws:write 'small'
    ws:write(big)
    settle(ctx)
    assert.equal(0, drained.count)
    c:expect_text 'small'
    c:expect_text(big)
    settle(ctx)
    assert.equal(1, drained.count)
  end)

  it('may write and broadcast, and is called for that, too', function()
    local c, ws, ctx, drained = open({}, nil, function(ws, count, ctx)
      if count == 1 then ws:write 'one' end
      if count == 2 then ctx:broadcast('p', 'two') end
      if count == 3 then ws:write(big) end
    end)
    ws:write 'begin'
    for _, text in ipairs { 'begin', 'one', 'two', big } do
      c:expect_text(text)
    end
    settle(ctx)
    assert.equal(4, drained.count)
  end)

  it('may serve, close or terminate', function()
    for _, how in ipairs { 'service', 'close', 'terminate' } do
      local c, ws, ctx, drained = open({}, nil, function(ws, _, ctx)
        if how == 'service' then ctx:service(0) else ws[how](ws) end
      end)
      ws:write 'x'
      c:expect_text 'x'
      settle(ctx)
      assert.equal(1, drained.count)
    end
  end)

  it('is not called once the websocket is closed', function()
    local c, ws, ctx, drained = open {}
    ws:write(big)
    ws:close(1000)
    c:expect_text(big)
    c:expect_close(1000)
    settle(ctx)
    assert.equal(0, drained.count)
  end)

  it('comes when the last of many pieces has left', function()
    local c, ws, ctx, drained = open({}, { receive_buffer = 65536 })
    local piece, count = ('x'):rep(5000), is_slow and 2000 or 4000
    ctx:batch(function()
      for _ = 1, count do
        ws:write(piece)
      end
    end)
    assert.equal(0, drained.count)
    for _ = 1, count do
      c:expect_text(piece)
    end
    settle(ctx)
    assert.equal(1, drained.count)
  end)
end)

describe('buffered_amount', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- The bytes of a frame on the wire: a server does not mask.
  local function frame_bytes(bytes)
    return bytes + (bytes < 126 and 2 or bytes < 65536 and 4 or 10)
  end

  it('is what was written and has not left: short strings, long ones, broadcasts', function()
    for _, config in ipairs { {}, tls.config() } do
      config.max_backpressure = 1e9
      local c, ws, ctx = pair.open(config, nil, { tls = config.ssl_cert_path and {} or nil, receive_buffer = 65536 })
      c:expect_nothing()
      ctx:batch(function()
        assert.equal(0, ws:buffered_amount())
        local expected = 0
        for _, bytes in ipairs { 0, 5, 125, 126, 1000, 1025, 5000, 100000 } do
          ws:write(('x'):rep(bytes))
          expected = expected + frame_bytes(bytes)
          assert.equal(expected, ws:buffered_amount())
        end
        ctx:broadcast('p', ('x'):rep(70000))
        assert.equal(expected + frame_bytes(70000), ws:buffered_amount())
      end)
      loop.serve_until(ctx, function() return ws:buffered_amount() == 0 end) -- so much may wait for a turn
      c:ping 'x'
      repeat
        local frame = c:receive_frame()
      until frame.opcode == client.PONG
    end
  end)

  it('goes down by what the peer is sent', function()
    for _, config in ipairs { {}, tls.config() } do
      config.max_backpressure = 1e9
      local c, ws, ctx = pair.open(config, nil, { tls = config.ssl_cert_path and {} or nil, receive_buffer = 65536 })
      ws:write(big)
      local before, taken = ws:buffered_amount(), 0
      assert.is_true(before > 0 and before < frame_bytes(#big))
      loop.serve_until(ctx, function()
        while c:pump() do end
        assert.is_true(ws:buffered_amount() <= before)
        before = ws:buffered_amount()
        taken = c.buffered
        assert.is_true(taken + before <= frame_bytes(#big))
        return before == 0
      end, 'everything to leave')
      c:expect_text(big)
    end
  end)

  it('counts what waits for the end of a fragmented message', function()
    local c, ws, ctx = pair.open()
    c:expect_nothing()
    ws:write('a', TEXT + NO_FIN)
    ctx:broadcast('p', 'held')
    assert.equal(frame_bytes(4), ws:buffered_amount())
    ws:write('b', CONTINUATION)
    assert.equal(0, ws:buffered_amount())
    -- That is dropped when the websocket is closed before.
    ws:write('c', TEXT + NO_FIN)
    ctx:broadcast('p', 'held')
    ws:close(1000)
    assert.equal(0, ctx:stats().queued_bytes)
  end)
end)
