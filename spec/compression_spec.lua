-- SPDX-License-Identifier: MIT
-- permessage-deflate (RFC 7692): the negotiation, and messages both ways.
local client = require 'spec.support.client'
local deflate = require 'spec.support.deflate'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

describe('compression', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local text = ('Compressed, it is shorter. '):rep(20)
  local takeover = { context_takeover = true, min_size = 1 }

  local function echo(ws)
    ws:on_receive(function(_, data, kind) ws:write(data, kind) end)
  end

  -- A client that makes this offer; `compression` is the server's option. Returns it, its websocket, the context.
  local function open(compression, offer, setup, config)
    local settings = { compression = compression }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    return pair.open(settings, setup or echo,
      { headers = { ['Sec-WebSocket-Extensions'] = offer or 'permessage-deflate' } })
  end

  local function send(c, payload, options)
    options = options or {}
    options.rsv = options.rsv or 4
    c:send_frame(options.opcode or client.TEXT, payload, options)
  end

  local function receive(c, inflate)
    local frame = assert(c:receive_frame())
    assert.is_true(frame.fin)
    assert.equal(4, frame.rsv)
    return inflate(frame.payload), frame.opcode, #frame.payload
  end

  describe('is negotiated', function()
    local function answer(compression, offer)
      local ctx, port = pair.context { compression = compression }
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { protocol = 'p', headers = { ['Sec-WebSocket-Extensions'] = offer } }
      assert.equal(101, status)
      ctx:destroy()
      return headers['sec-websocket-extensions']
    end

    it('only where it is on', function()
      assert.is_nil(answer(nil, 'permessage-deflate'))
      assert.is_nil(answer(false, 'permessage-deflate'))
      assert.is_nil(answer(true, false))
      assert.is_nil(answer(true, 'x-other'))
    end)

    it('without windows that are kept, unless they are wanted', function()
      local none = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
      assert.equal(none, answer(true, 'permessage-deflate; client_max_window_bits'))
      assert.equal(none, answer({}, 'permessage-deflate'))
      assert.equal('permessage-deflate', answer({ context_takeover = true }, 'permessage-deflate'))
      assert.equal('permessage-deflate; client_no_context_takeover',
        answer({ context_takeover = { server = true } }, 'permessage-deflate'))
      assert.equal('permessage-deflate; server_no_context_takeover',
        answer({ context_takeover = { client = true } }, 'permessage-deflate'))
    end)

    it('with the windows that the options say', function()
      local option = { context_takeover = true, memory = '8KB', client_max_window_bits = 11 }
      assert.equal('permessage-deflate; server_max_window_bits=10; client_max_window_bits=11',
        answer(option, 'permessage-deflate; client_max_window_bits'))
      assert.equal('permessage-deflate; server_max_window_bits=9; client_max_window_bits=10',
        answer(option, 'permessage-deflate; client_max_window_bits=10; server_max_window_bits=9'))
      assert.equal('permessage-deflate; client_no_context_takeover; server_max_window_bits=10',
        answer(option, 'permessage-deflate'))
    end)

    it('from the first offer that can be accepted', function()
      assert.equal('permessage-deflate; server_max_window_bits=12', answer({ context_takeover = true },
        'x, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits="12"'))
      assert.is_nil(answer(true, 'permessage-deflate; server_max_window_bits=16'))
    end)
  end)

  it('has its options checked', function()
    for option, message in pairs {
      [7] = "option 'compression' is 7, expected true, false or a table",
      [{ level = 10 }] = "option 'compression.level' is 10, expected a whole number from 0 to 9",
      [{ level = -1 }] = "option 'compression.level' is -1, expected a whole number from 0 to 9",
      [{ min_size = -1 }] = "option 'compression.min_size' is -1, expected a number of bytes up to 2^53",
      [{ memory = '5KB' }] = "option 'compression.memory' is '5KB', expected '3KB', '4KB', '8KB', '16KB', '32KB', " ..
        "'64KB', '128KB' or '256KB'",
      [{ memory = 256 }] = "option 'compression.memory' is 256, expected '3KB', '4KB', '8KB', '16KB', '32KB', " ..
        "'64KB', '128KB' or '256KB'",
      [{ context_takeover = 1 }] = "option 'compression.context_takeover' is 1, expected true, false or a table",
      [{ context_takeover = { server = 1 } }] =
        "option 'compression.context_takeover.server' is 1, expected true or false",
      [{ context_takeover = { client = 'x' } }] =
        "option 'compression.context_takeover.client' is 'x', expected true or false",
      [{ client_max_window_bits = 8 }] =
        "option 'compression.client_max_window_bits' is 8, expected a whole number from 9 to 15",
      [{ client_max_window_bits = 16 }] =
        "option 'compression.client_max_window_bits' is 16, expected a whole number from 9 to 15",
    } do
      local ok, why = pcall(websockets.context, { compression = option, protocols = { p = echo } })
      assert.is_false(ok)
      assert.equal('websocket could not create context: ' .. message, (tostring(why):gsub('^%S+:%d+: ', '')))
    end
  end)

  -- --- Receiving ---

  it('understands the examples of the RFC, and keeps the window if that was agreed', function()
    local c = open(takeover)
    send(c, deflate.hello)
    send(c, deflate.hello_again)
    local inflate = deflate.inflater(true)
    assert.equal('Hello', receive(c, inflate))
    assert.equal('Hello', receive(c, inflate))
  end)

  it('does not keep the window otherwise', function()
    local c = open(true)
    send(c, deflate.hello)
    send(c, deflate.hello)
    c:expect_text 'Hello'
    c:expect_text 'Hello'
    send(c, deflate.hello_again)
    c:expect_close(1007, 'a compressed message is not valid deflate data')
  end)

  it('takes compressed messages in fragments, byte by byte, empty, and others between them', function()
    local c = open(true)
    for at = 0, #deflate.hello do
      send(c, deflate.hello:sub(1, at), { fin = false })
      c:ping 'between'
      c:expect_frame(client.PONG, 'between')
      c:send_frame(client.CONTINUATION, deflate.hello:sub(at + 1))
      c:expect_text 'Hello'
    end
    c:send_split(client.frame(client.BINARY, deflate.hello, { rsv = 4 }))
    c:expect_binary 'Hello'
    send(c, '\0')
    c:expect_text ''
    c:text 'as it is'
    c:expect_text 'as it is'
    c:finish(1000)
  end)

  it('takes large messages', function()
    local received
    local c, _, ctx = open(true, nil, function(ws)
      ws:on_receive(function(_, data) received = data end)
    end)
    local large = ('0123456789abcdef'):rep(20000)
    send(c, deflate.stored(large))
    loop.serve_until(ctx, function() return received end)
    assert.equal(large, received)
  end)

  it('closes when it is no deflate data, cut off, or no UTF-8', function()
    for _, case in ipairs { { 'garbage', 'a compressed message is not valid deflate data' },
      { deflate.hello:sub(1, 4), 'a compressed message is not valid deflate data' },
      { deflate.stored 'a\255', 'a text message is not UTF-8' },
      { deflate.stored '\195', 'a text message is not UTF-8' } } do
      local c = open(true)
      send(c, case[1])
      c:expect_close(1007, case[2])
      c:close()
    end
    local c = open(true)
    send(c, deflate.stored 'a\255', { opcode = client.BINARY })
    c:expect_binary 'a\255'
  end)

  it('allows RSV1 in the first frame of a message only, and only when it was agreed', function()
    local why = 'a reserved bit of a frame is set, but no extension uses it there'
    local function refused(option, ...)
      local c = open(option)
      for _, frame in ipairs { ... } do
        c:send(client.frame(frame[1], frame[2], frame[3]))
      end
      c:expect_close(1002, why)
      c:close()
    end
    refused(nil, { client.TEXT, deflate.hello, { rsv = 4 } })
    refused(true, { client.PING, '', { rsv = 4 } })
    refused(true, { client.CLOSE, '', { rsv = 4 } })
    refused(true, { client.TEXT, deflate.hello, { rsv = 6 } })
    refused(true, { client.TEXT, deflate.hello, { rsv = 4, fin = false } }, { client.CONTINUATION, '', { rsv = 4 } })
    refused(true, { client.TEXT, 'a', { fin = false } }, { client.CONTINUATION, '', { rsv = 4 } })
    local c = open(true, 'permessage-deflate; unknown')
    send(c, deflate.hello)
    c:expect_close(1002, why)
  end)

  describe('in chunks', function()
    local function chunked(option, config)
      local seen = { data = '', chunks = 0, ends = 0 }
      local c, ws, ctx = open(option, nil, function(ws)
        ws:on_receive_chunk(function(_, data, is_last)
          assert(#data <= 65536)
          seen.data, seen.chunks = seen.data .. data, seen.chunks + 1
          if is_last then seen.ends = seen.ends + 1 end
          if seen.each then seen.each(is_last) end
        end)
      end, config)
      return c, seen, ctx, ws
    end

    it('decompresses what has arrived', function()
      local c, seen, ctx = chunked(takeover)
      local stored = deflate.stored(text)
      send(c, stored:sub(1, 300), { fin = false })
      loop.serve_until(ctx, function() return #seen.data > 200 end)
      assert.equal(text:sub(1, #seen.data), seen.data)
      assert.equal(0, seen.ends)
      c:send_frame(client.CONTINUATION, stored:sub(301))
      send(c, deflate.hello)
      loop.serve_until(ctx, function() return seen.ends == 2 end)
      assert.equal(text .. 'Hello', seen.data)
    end)

    it('delivers a large message in small pieces', function()
      local c, seen, ctx = chunked(true)
      local bomb, count = deflate.bomb(2 ^ 20)
      send(c, bomb)
      loop.serve_until(ctx, function() return seen.ends == 1 end)
      assert.equal(count, #seen.data)
      assert.is_true(seen.chunks >= 16)
    end)

    it('stops when nothing more is to be received, and goes on', function()
      local c, seen, ctx, ws = chunked(true)
      local bomb, count = deflate.bomb(2 ^ 20)
      seen.each = function() ws:rx_flow_control(false) end
      send(c, bomb)
      c:ping 'x'
      while seen.ends == 0 do
        local chunks = seen.chunks
        loop.serve_until(ctx, function() return seen.chunks > chunks end)
        for _ = 1, 3 do
          loop.step(ctx, 0)
        end
        assert.equal(chunks + 1, seen.chunks)
        ws:rx_flow_control(true)
      end
      assert.equal(count, #seen.data)
      c:expect_frame(client.PONG, 'x')
    end)

    it('may be closed within one', function()
      local c, seen, _, ws = chunked(true)
      seen.each = function() ws:close(1000) end
      send(c, (deflate.bomb(2 ^ 20)))
      c:expect_close(1000)
      assert.equal(1, seen.chunks)
    end)
  end)

  -- --- Sending ---

  it('compresses what is written, as text and binary, referring to what was sent before', function()
    local c, ws = open(takeover)
    local inflate = deflate.inflater(true)
    ws:write(text)
    ws:write(text, websockets.WRITE_BINARY)
    local first, kind, size = receive(c, inflate)
    assert.equal(text, first)
    assert.equal(client.TEXT, kind)
    assert.is_true(size < 60)
    local second, other_kind, other_size = receive(c, inflate)
    assert.equal(text, second)
    assert.equal(client.BINARY, other_kind)
    assert.is_true(other_size < 15)
  end)

  it('compresses each by itself without windows that are kept', function()
    local c, ws = open(true)
    ws:write(text)
    ws:write(text)
    local inflate = deflate.inflater(false)
    local _, _, first = receive(c, inflate)
    local again, _, second = receive(c, inflate)
    assert.equal(text, again)
    assert.equal(first, second)
  end)

  it('keeps to the window that the client asked for', function()
    local c, ws = open(takeover, 'permessage-deflate; server_max_window_bits=9')
    local far = {}
    for i = 1, 300 do
      far[i] = ('%d '):format(i * i)
    end
    far = table.concat(far)
    ws:write(far)
    ws:write(far)
    local inflate = deflate.inflater(true)
    local _, _, first = receive(c, inflate)
    local again, _, second = receive(c, inflate)
    assert.equal(far, again)
    assert.is_true(second > first / 2) -- it does not see the first one
  end)

  it('leaves short messages, fragments and control frames as they are', function()
    local c, ws = open { min_size = 100 }
    ws:write(('x'):rep(99))
    c:expect_text(('x'):rep(99))
    ws:write(('x'):rep(100))
    assert.equal(('x'):rep(100), receive(c, deflate.inflater()))
    ws:write(text, websockets.WRITE_TEXT + websockets.WRITE_NO_FIN)
    ws:write(text, websockets.WRITE_CONTINUATION)
    c:expect_frame(client.TEXT, text, false)
    c:expect_frame(client.CONTINUATION, text)
    ws:write(('x'):rep(120), websockets.WRITE_PING)
    c:expect_frame(client.PING, ('x'):rep(120))
    ws:write ''
    c:expect_text ''
  end)

  it('takes 0 as the least size', function()
    for _, context_takeover in ipairs { false, true } do
      local c, ws = open { min_size = 0, context_takeover = context_takeover }
      ws:write(('x'):rep(40))
      assert.equal(('x'):rep(40), receive(c, deflate.inflater(context_takeover)))
      ws:write ''
      c:expect_text ''
    end
  end)

  it('leaves what does not become smaller as it is, unless the window is kept', function()
    local noise, seed = {}, 1
    for i = 1, 6000 do
      seed = (seed * 16807) % 2147483647
      noise[i] = string.char((seed - seed % 65536) / 65536 % 256)
    end
    noise = table.concat(noise)
    local c, ws = open(true)
    ws:write(noise, websockets.WRITE_BINARY)
    c:expect_binary(noise)
    c, ws = open(takeover)
    ws:write(noise, websockets.WRITE_BINARY)
    ws:write(noise, websockets.WRITE_BINARY)
    local inflate = deflate.inflater(true)
    assert.equal(noise, receive(c, inflate))
    local again, _, size = receive(c, inflate)
    assert.equal(noise, again)
    assert.is_true(size < 200)
  end)

  it('compresses nothing at level 0, but understands', function()
    local c = open { level = 0, context_takeover = true, min_size = 1 }
    send(c, deflate.hello)
    send(c, deflate.hello_again)
    c:expect_text 'Hello'
    c:expect_text 'Hello'
  end)

  it('takes less at a higher level', function()
    local words, seed = {}, 1
    for i = 1, 4000 do
      seed = (seed * 16807) % 2147483647
      words[i] = 'w' .. seed % 512
    end
    local data = table.concat(words, ' ')
    local sizes = {}
    for _, level in ipairs { 1, 9 } do
      local c, ws = open { level = level }
      ws:write(data)
      local frame = c:receive_frame()
      sizes[level] = #frame.payload
    end
    assert.is_true(sizes[9] < 0.97 * sizes[1])
  end)

  it('does not send what there was no room for, and goes on', function()
    local c, ws, ctx = open({ context_takeover = true, min_size = 1 }, nil, nil, { max_backpressure = 1 })
    local inflate = deflate.inflater(true)
    local status, why
    ctx:batch(function()
      repeat
        status, why = ws:write(text)
      until status == 0 or why ~= 'queue full'
    end)
    assert.equal(0, status)
    assert.equal(text, receive(c, inflate))
    ws:write(text)
    assert.equal(text, receive(c, inflate))
  end)

  it('echoes on many connections that come and go', function()
    for round = 1, 3 do
      local clients = {}
      local ctx, port = pair.context({ compression = takeover }, echo)
      for i = 1, 20 do
        clients[i] = client.open(ctx, port, { protocol = 'p', headers = { ['Sec-WebSocket-Extensions'] =
          'permessage-deflate' .. (i % 2 == 0 and '; server_no_context_takeover' or '') } })
      end
      for i, c in ipairs(clients) do
        send(c, deflate.stored(text .. i))
      end
      for i, c in ipairs(clients) do
        assert.equal(text .. i, receive(c, deflate.inflater(true)))
        if round == 2 then c:reset() end
      end
      if round == 3 then ctx:destroy() end
    end
  end)
end)
