-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

local TEXT, BINARY = websockets.WRITE_TEXT, websockets.WRITE_BINARY
local CONTINUATION = websockets.WRITE_CONTINUATION
local NO_FIN = websockets.WRITE_NO_FIN

describe('write', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  it('sends text by default', function()
    local c, ws = pair.open()
    assert.equal(0, ws:write 'hello')
    c:expect_text 'hello'
    assert.equal(0, ws:write('again', TEXT))
    c:expect_text 'again'
    assert.equal(0, ws:write('third', nil))
    c:expect_text 'third'
  end)

  it('sends binary data', function()
    local c, ws = pair.open()
    local data = {}
    for code = 0, 255 do
      data[#data + 1] = string.char(code)
    end
    data = table.concat(data)
    assert.equal(0, ws:write(data, BINARY))
    c:expect_binary(data)
  end)

  it('sends empty data', function()
    local c, ws = pair.open()
    assert.equal(0, ws:write '')
    assert.equal(0, ws:write('', BINARY))
    c:expect_text ''
    c:expect_binary ''
  end)

  it('converts numbers', function()
    local c, ws = pair.open()
    ws:write(42)
    ws:write(-0.5)
    c:expect_text '42'
    c:expect_text '-0.5'
  end)

  it('returns 0 alone', function()
    local _, ws = pair.open()
    assert.equal(1, select('#', ws:write 'x'))
  end)

  it('keeps the order, in callbacks and outside', function()
    local c, ws = pair.open(nil, function(ws)
      ws:write 'first'
      ws:on_receive(function()
        for i = 1, 100 do
          ws:write('inside ' .. i)
        end
      end)
    end)
    ws:write 'second'
    c:text 'go'
    c:expect_text 'first'
    c:expect_text 'second'
    for i = 1, 100 do
      c:expect_text('inside ' .. i)
    end
    ws:write 'last'
    c:expect_text 'last'
  end)

  it('sends at once what is written outside of callbacks', function()
    local c, ws = pair.open()
    c.ctx = {} -- nothing is served
    ws:write 'now'
    c:expect_text 'now'
  end)

  it('uses the shortest form of the length', function()
    local c, ws = pair.open()
    for _, length in ipairs { 125, 126, 65535, 65536 } do
      local data = ('x'):rep(length)
      ws:write(data)
      c:expect_text(data)
    end
  end)

  it('ignores WRITE_CLIENT_IGNORE_XOR_MASK', function()
    local c, ws = pair.open()
    assert.equal(0, ws:write('x', TEXT + websockets.WRITE_CLIENT_IGNORE_XOR_MASK))
    c:expect_text 'x'
  end)

  -- --- Fragments ---

  it('sends a message in fragments', function()
    local c, ws = pair.open()
    assert.equal(0, ws:write('a', TEXT + NO_FIN))
    assert.equal(0, ws:write('', CONTINUATION + NO_FIN))
    assert.equal(0, ws:write('b', CONTINUATION))
    assert.equal(0, ws:write('', BINARY + NO_FIN))
    assert.equal(0, ws:write('', CONTINUATION))
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_frame(client.CONTINUATION, '', false)
    c:expect_frame(client.CONTINUATION, 'b', true)
    c:expect_frame(client.BINARY, '', false)
    c:expect_frame(client.CONTINUATION, '', true)
  end)

  it('sends control frames between fragments', function()
    local c, ws = pair.open()
    ws:write('a', TEXT + NO_FIN)
    ws:write('ping', websockets.WRITE_PING)
    c:ping 'pong'
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_frame(client.PING, 'ping')
    c:expect_frame(client.PONG, 'pong')
    ws:write('b', CONTINUATION)
    c:expect_frame(client.CONTINUATION, 'b', true)
  end)

  it('keeps broadcasts out of a fragmented message, in order', function()
    local c, ws, ctx = pair.open()
    ws:write('a', BINARY + NO_FIN)
    ctx:broadcast('p', 'one')
    ws:write('b', CONTINUATION + NO_FIN)
    ws:on_broadcast(BINARY)
    ctx:broadcast('p', 'two')
    c:expect_frame(client.BINARY, 'a', false)
    c:expect_frame(client.CONTINUATION, 'b', false)
    c:expect_nothing()
    ws:write('c', CONTINUATION)
    ws:write 'd'
    c:expect_frame(client.CONTINUATION, 'c', true)
    c:expect_text 'one'
    c:expect_binary 'two'
    c:expect_text 'd'
  end)

  it('keeps no more of them than max_backpressure', function()
    local c, ws, ctx = pair.open { max_backpressure = 100, backpressure_policy = 'drop' }
    local message = ('x'):rep(60)
    ws:write('a', TEXT + NO_FIN)
    ctx:broadcast('p', message)
    assert.equal(62, ws:buffered_amount())
    ctx:broadcast('p', message)
    assert.equal(62, ws:buffered_amount())
    ws:write('b', CONTINUATION)
    ws:write 'last'
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_frame(client.CONTINUATION, 'b', true)
    c:expect_text(message)
    c:expect_text 'last'
  end)

  it('lets no more broadcasts wait for the end of a fragmented message than max_backpressure', function()
    local c, ws, ctx = pair.open { max_backpressure = 100000, backpressure_policy = 'drop' }
    local message = ('x'):rep(30000)
    ws:write('a', TEXT + NO_FIN)
    for _ = 1, 10 do
      ctx:broadcast('p', message)
    end
    assert.is_true(ws:buffered_amount() > 60000 and ws:buffered_amount() <= 100000)
    assert.equal(0, ws:write('b', CONTINUATION)) -- of what is under way
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_frame(client.CONTINUATION, 'b', true)
    for _ = 1, 3 do
      c:expect_text(message)
    end
    c:expect_nothing()
  end)

  it('counts what waits for the end of a fragmented message beside what waits for a slow reader', function()
    local c, ws, ctx = pair.open { max_backpressure = 16e6, backpressure_policy = 'drop' }
    ws:write(('x'):rep(16e6), TEXT + NO_FIN) -- more than the kernel takes
    assert.is_true(ws:buffered_amount() > 0)
    local message = ('y'):rep(1e6)
    for _ = 1, 20 do
      ctx:broadcast('p', message)
    end
    assert.is_true(ws:buffered_amount() > 15e6 and ws:buffered_amount() <= 16e6)
    c:expect_frame(client.TEXT, ('x'):rep(16e6), false)
    loop.serve_until(ctx, function() return ws:write('', CONTINUATION) == 0 end)
    c:expect_frame(client.CONTINUATION, '')
    c:ping 'the end'
    local frame = c:receive_frame()
    while frame.opcode == client.TEXT do
      assert.is_true(frame.payload == message)
      frame = c:receive_frame()
    end
    assert.equal('the end', frame.payload)
  end)

  it('closes in the midst of a fragmented message', function()
    local c, ws, ctx = pair.open()
    ws:write('a', TEXT + NO_FIN)
    ctx:broadcast('p', 'never')
    ws:close(1000)
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
  end)

  it('refuses another message in the midst of a fragmented one', function()
    local c, ws = pair.open()
    ws:write('a', TEXT + NO_FIN)
    for _, type in ipairs { TEXT, BINARY, TEXT + NO_FIN, BINARY + NO_FIN } do
      assert.has_error(function() ws:write('x', type) end)
    end
    ws:write('b', CONTINUATION)
    c:expect_frame(client.TEXT, 'a', false)
    c:expect_frame(client.CONTINUATION, 'b', true)
  end)

  it('refuses to continue nothing', function()
    local c, ws = pair.open()
    for _, type in ipairs { CONTINUATION, CONTINUATION + NO_FIN } do
      assert.has_error(function() ws:write('x', type) end)
    end
    c:expect_nothing()
  end)

  -- --- Control frames ---

  it('sends pings and pongs of up to 125 bytes', function()
    local c, ws = pair.open()
    local longest = ('x'):rep(125)
    for _, data in ipairs { '', 'x', longest } do
      assert.equal(0, ws:write(data, websockets.WRITE_PING))
      assert.equal(0, ws:write(data, websockets.WRITE_PONG))
      c:expect_frame(client.PING, data)
      c:expect_frame(client.PONG, data)
    end
    for _, type in ipairs { websockets.WRITE_PING, websockets.WRITE_PONG } do
      assert.has_error(function() ws:write(longest .. 'x', type) end)
      assert.has_error(function() ws:write('x', type + NO_FIN) end)
    end
    c:expect_nothing()
  end)

  it('starts the closing handshake with a code and a reason', function()
    local events = {}
    local c, ws = pair.open(nil, function(ws)
      ws:on_closed(function(_, code, reason) events[#events + 1] = code .. reason end)
    end)
    assert.equal(0, ws:write(client.close_body(4001, 'bye'), websockets.WRITE_CLOSE))
    local result, why = ws:write 'more'
    assert.equal(-1, result)
    assert.equal('closed', why)
    c:expect_close(4001, 'bye')
    assert.same({}, events)
    c:send_close(4001, 'well')
    c:expect_end()
    assert.same({ '4001well' }, events)
  end)

  it('starts the closing handshake without a code', function()
    local events = {}
    local c, ws = pair.open(nil, function(ws)
      ws:on_closed(function(_, code, reason) events[#events + 1] = code .. reason end)
    end)
    assert.equal(0, ws:write('', websockets.WRITE_CLOSE))
    c:expect_close(nil)
    c:send_close()
    c:expect_end()
    assert.same({ '1005' }, events)
  end)

  it('does not wait for ever for the answer to WRITE_CLOSE', function()
    local events = {}
    local c, ws = pair.open({ close_timeout = 0.05 }, function(ws)
      ws:on_closed(function(_, code) events[#events + 1] = code end)
    end)
    ws:write('', websockets.WRITE_CLOSE)
    c:expect_close(nil)
    c:expect_end()
    assert.same({ 1006 }, events)
  end)

  it('refuses what is not the body of a Close frame', function()
    local c, ws = pair.open()
    local bodies = { 'x', client.close_body(1005), client.close_body(1006), client.close_body(999),
      client.close_body(5000), client.close_body(1000, '\255'), client.close_body(1000, ('x'):rep(124)) }
    for _, body in ipairs(bodies) do
      assert.has_error(function() ws:write(body, websockets.WRITE_CLOSE) end)
    end
    assert.has_error(function() ws:write('', websockets.WRITE_CLOSE + NO_FIN) end)
    c:expect_nothing()
  end)

  -- --- Arguments ---

  it('refuses data that is neither a string nor a number', function()
    local c, ws = pair.open()
    for _, data in ipairs { true, {}, print } do
      assert.has_error(function() ws:write(data) end)
    end
    assert.has_error(function() ws:write(nil) end)
    assert.has_error(function() ws:write() end)
    assert.has_error(function() ws.write() end)
    assert.has_error(function() ws.write('x', 'x') end)
    assert.has_error(function() ws.write({}, 'x') end)
    assert.has_error(function() ws.write(io.stdout, 'x') end)
    c:expect_nothing()
  end)

  it('refuses types that there are not', function()
    local c, ws = pair.open()
    local types = { 7, 8, 32, 63, 256, -1, 2 ^ 40, 'x', true, {}, websockets.WRITE_HTTP, 3 + NO_FIN }
    for _, type in ipairs(types) do
      assert.has_error(function() ws:write('x', type) end)
    end
    c:expect_nothing()
  end)

  it('gives -1 and a reason when the websocket is closed', function()
    local _, ws = pair.open()
    ws:close()
    for _, type in ipairs { TEXT, BINARY, CONTINUATION, websockets.WRITE_PING, websockets.WRITE_CLOSE } do
      local result, why = ws:write('', type)
      assert.equal(-1, result)
      assert.equal('closed', why)
    end
  end)

  -- --- Readers that do not keep up ---

  it('keeps megabytes for a slow reader, in order', function()
    local c, ws, ctx = pair.open({ max_backpressure = 1e9 })
    local block, count = ('0123456789abcdef'):rep(65536), 24
    for i = 1, count do
      assert.equal(0, ws:write(i .. block, i % 2 == 0 and TEXT or BINARY))
    end
    assert.is_true(ws:buffered_amount() > #block)
    for i = 1, count do
      loop.step(ctx, 0)
      c:expect_frame(i % 2 == 0 and client.TEXT or client.BINARY, i .. block)
    end
    loop.serve_until(ctx, function() return ws:buffered_amount() == 0 end)
    c:expect_nothing()
  end)

  it('keeps many small messages for a slow reader, in order', function()
    local c, ws = pair.open({ max_backpressure = 1e9 })
    local block, count = ('x'):rep(1000), 16000
    for i = 1, count do
      ws:write(i .. block)
    end
    assert.is_true(ws:buffered_amount() > 0)
    for i = 1, count do
      c:expect_text(i .. block)
    end
    c:expect_nothing()
  end)

  it('refuses what would exceed max_backpressure, and takes more once there is room', function()
    local c, ws, ctx = pair.open({ max_backpressure = 200000 })
    local block, accepted = ('x'):rep(50000), 0
    local result, why
    repeat
      result, why = ws:write(accepted + 1 .. block, BINARY)
      if result == 0 then accepted = accepted + 1 end
    until result ~= 0
    assert.equal(-1, result)
    assert.equal('queue full', why)
    assert.is_true(ws:buffered_amount() <= 200000)
    assert.equal(0, ws:write '') -- fits
    for i = 1, accepted do
      c:expect_binary(i .. block)
    end
    c:expect_text ''
    loop.serve_until(ctx, function() return ws:buffered_amount() == 0 end)
    assert.equal(0, ws:write 'more')
    c:expect_text 'more'
  end)

  it('counts only what the system does not take', function()
    local c, ws, ctx = pair.open { max_backpressure = 20000 }
    local message = ('x'):rep(1000)
    ctx:batch(function()
      for _ = 1, 100 do
        assert.equal(0, ws:write(message))
      end
    end)
    for _ = 1, 100 do
      c:expect_text(message)
    end
  end)

  it('counts only that, although more is sent by turns', function()
    local c, ws = pair.open { max_backpressure = 1000000 }
    local data = ('x'):rep(900000)
    for _ = 1, 2 do
      assert.equal(0, ws:write(data))
    end
    for _ = 1, 2 do
      c:expect_text(data)
    end
  end)

  it('sends what is much before a callback has ended', function()
    local c, ws, ctx = pair.open()
    local data = ('x'):rep(200000)
    ctx:batch(function()
      for _ = 1, 5 do
        assert.equal(0, ws:write(data))
      end
      assert.is_true(ws:buffered_amount() < 5 * #data)
    end)
    for _ = 1, 5 do
      c:expect_text(data)
    end
  end)

  it('takes a message of any size while nothing waits', function()
    local c, ws = pair.open({ max_backpressure = 1000 })
    local data = ('x'):rep(8e6)
    assert.equal(0, ws:write(data, BINARY))
    c:expect_binary(data)
  end)

  it('gives -1 once the client is found to be gone, and on_closed follows', function()
    local events = {}
    local c, ws, ctx = pair.open({ max_backpressure = 1e9 }, function(ws)
      ws:on_closed(function(_, code) events[#events + 1] = code end)
    end)
    c:reset()
    local block, result, why = ('x'):rep(100000), nil, nil
    loop.serve_until({}, function()
      result, why = ws:write(block)
      return result ~= 0
    end)
    assert.equal(-1, result)
    assert.equal('closed', why)
    assert.same({}, events) -- never inside write
    loop.serve_until(ctx, function() return events[1] end)
    assert.same({ 1006 }, events)
  end)

  -- --- on_server_writeable ---

  it('tells when everything has left', function()
    local drained = 0
    local c, ws, ctx = pair.open({ max_backpressure = 1e9 }, function(ws)
      ws:on_server_writeable(function(self)
        assert(self == ws)
        assert(self:buffered_amount() == 0)
        drained = drained + 1
      end)
    end)
    loop.serve_until(ctx, function() return drained == 1 end) -- the handshake's answer
    local data = ('x'):rep(16e6)
    ws:write(data)
    for _ = 1, 5 do
      loop.step(ctx, 0)
    end
    assert.equal(1, drained)
    c:expect_text(data)
    loop.serve_until(ctx, function() return drained == 2 end)
    ws:write 'x'
    loop.serve_until(ctx, function() return drained == 3 end)
    c:expect_text 'x'
    c:expect_nothing()
  end)

  it('can pump a file through on_server_writeable', function()
    local left = 200
    local c = pair.open(nil, function(ws)
      ws:on_server_writeable(function()
        if left > 0 then ws:write(('x'):rep(left)) end
        left = left - 1
      end)
    end)
    for size = 200, 1, -1 do
      c:expect_text(('x'):rep(size))
    end
  end)
end)
