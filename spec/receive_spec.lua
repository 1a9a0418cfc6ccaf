-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

describe('on_receive', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  -- A client, the list of what was received as 'type:data', the websocket, the context.
  local function open(config)
    local got = {}
    local c, ws, ctx = pair.open(config, function(ws)
      ws:on_receive(function(self, data, type)
        assert(self == ws)
        got[#got + 1] = type .. ':' .. data
      end)
    end)
    return c, got, ws, ctx
  end

  it('is given the data and the type', function()
    local c, got = open()
    c:text 'hello'
    c:binary '\0\255'
    c:expect_nothing()
    assert.same({ '0:hello', '1:\0\255' }, got)
    assert.equal(0, websockets.WRITE_TEXT)
    assert.equal(1, websockets.WRITE_BINARY)
  end)

  it('is given empty messages', function()
    local c, got = open()
    c:text ''
    c:binary ''
    c:send_frame(client.TEXT, '', { fin = false })
    c:send_frame(client.CONTINUATION, '')
    c:expect_nothing()
    assert.same({ '0:', '1:', '0:' }, got)
  end)

  it('is given fragmented messages as one', function()
    local c, got = open()
    c:send_frame(client.TEXT, 'a', { fin = false })
    c:send_frame(client.CONTINUATION, '', { fin = false })
    c:ping 'x'
    c:expect_frame(client.PONG, 'x')
    assert.same({}, got)
    c:send_frame(client.CONTINUATION, 'b', { fin = false })
    c:send_frame(client.PONG, 'nobody asked')
    c:send_frame(client.CONTINUATION, 'c')
    c:expect_nothing()
    assert.same({ '0:abc' }, got)
  end)

  it('is given messages that arrive byte by byte', function()
    local c, got = open()
    c:send_split(client.frame(client.TEXT, 'gr\195\188n') .. client.frame(client.BINARY, ('x'):rep(130)))
    c:expect_nothing()
    assert.same({ '0:gr\195\188n', '1:' .. ('x'):rep(130) }, got)
  end)

  it('is given messages that arrive in one segment with the handshake', function()
    local got = {}
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
    end)
    local frames = client.frame(client.TEXT, 'one') .. client.frame(client.TEXT, 'two')
    local c = client.open(ctx, port, { protocol = 'p', first = frames })
    c:expect_nothing()
    assert.same({ 'one', 'two' }, got)
  end)

  it('is given large messages in every length encoding', function()
    local c, got = open()
    local expected = {}
    for i, length in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 65537, 1000003 } do
      local data = ('abcdefg'):rep(math.ceil(length / 7)):sub(1, length)
      c:send_frame(client.BINARY, data, { mask = '\1\2\3\4' })
      expected[i] = '1:' .. data
    end
    c:expect_nothing()
    for i, message in ipairs(expected) do
      assert.is_true(message == got[i], 'message ' .. i)
    end
    assert.equal(#expected, #got)
  end)

  it('is not needed', function()
    local c, ws = pair.open()
    c:text 'dropped'
    c:expect_nothing()
    ws:write 'x'
    c:expect_text 'x'
  end)

  it('can be registered again, also by itself', function()
    local got = {}
    local c, ws = pair.open(nil, function(ws)
      ws:on_receive(function(_, data)
        got[#got + 1] = 'first ' .. data
        ws:on_receive(function(_, data2) got[#got + 1] = 'second ' .. data2 end)
      end)
    end)
    c:send(client.frame(client.TEXT, '1') .. client.frame(client.TEXT, '2'))
    c:expect_nothing()
    ws:on_receive(function(_, data) got[#got + 1] = 'third ' .. data end)
    c:text '3'
    c:expect_nothing()
    assert.same({ 'first 1', 'second 2', 'third 3' }, got)
  end)

  it('is given nothing behind what it ended the connection at, in one segment', function()
    for _, ending in ipairs { 'close', 'terminate', 'error' } do
      local got = {}
      local c = pair.open({ on_error = function() end }, function(ws)
        ws:on_receive(function(_, data)
          got[#got + 1] = data
          if data == '2' and ending == 'error' then error 'oops' end
          if data == '2' then ws[ending](ws) end
        end)
      end)
      c:send(client.frame(client.TEXT, '1') .. client.frame(client.TEXT, '2') .. client.frame(client.TEXT, '3'))
      if ending == 'close' then c:expect_close() end
      if ending == 'error' then c:expect_close(1011) end
      if ending == 'terminate' then c:read_all() end
      c:close()
      assert.same({ '1', '2' }, got)
    end
  end)

  it('takes functions only, as all of them do', function()
    local _, ws = pair.open()
    for _, name in ipairs { 'on_receive', 'on_receive_chunk', 'on_closed', 'on_server_writeable' } do
      for _, value in ipairs { 1, 'x', true, {} } do
        assert.has_error(function() ws[name](ws, value) end)
      end
      assert.has_error(function() ws[name](ws, nil) end)
      assert.has_error(function() ws[name](ws) end)
    end
  end)

  -- --- UTF-8 ---

  local invalid = { '\255', 'x\195' }

  it('is not given text that is not UTF-8', function()
    for _, data in ipairs(invalid) do
      local c, got = open()
      c:text(data)
      c:expect_close(1007)
      c:close()
      assert.same({}, got)
    end
  end)

  it('is given what came before such text in one segment, and nothing behind it', function()
    local c, got = open()
    c:send(client.frame(client.TEXT, 'a') .. client.frame(client.BINARY, 'b') .. client.frame(client.TEXT, '\255')
      .. client.frame(client.TEXT, 'c'))
    c:expect_close(1007)
    assert.same({ '0:a', '1:b' }, got)
  end)

  it('is given binary messages unchecked', function()
    local c, got = open()
    for _, data in ipairs(invalid) do
      c:binary(data)
    end
    c:expect_nothing()
    assert.equal(#invalid, #got)
  end)

  it('is given any text when utf8_check is off', function()
    local c, got = open { utf8_check = false }
    for _, data in ipairs(invalid) do
      c:text(data)
    end
    c:send_frame(client.TEXT, '\255', { fin = false })
    c:send_frame(client.CONTINUATION, '\255')
    c:expect_nothing()
    assert.equal(#invalid + 1, #got)
    assert.equal('0:\255\255', got[#got])
  end)

  -- --- Limits ---

  it('is given messages of up to max_message_size', function()
    local c, got = open { max_message_size = 100 }
    c:text(('x'):rep(100))
    c:send_frame(client.TEXT, ('x'):rep(60), { fin = false })
    c:send_frame(client.CONTINUATION, ('x'):rep(40))
    c:expect_nothing()
    assert.equal(2, #got)
  end)

  it('does not wait for a message over max_message_size', function()
    for _, length in ipairs { 101, 2 ^ 52 } do
      local c, got = open { max_message_size = 100 }
      c:send(client.frame(client.TEXT, '', { length = length }))
      c:expect_close(1009)
      c:close()
      assert.same({}, got)
    end
  end)

  it('is given messages of 16 MiB by default, and no longer ones', function()
    local c, got = open()
    local size = 16 * 1024 * 1024
    c:binary(('x'):rep(size))
    c:expect_nothing()
    assert.equal(size + 2, #got[1])
    c:send(client.frame(client.BINARY, '', { length = size + 1 }))
    c:expect_close(1009)
  end)

  it('refuses a message of thousands of tiny fragments', function()
    local c, got = open()
    local tiny = client.frame(client.CONTINUATION, 'x', { fin = false })
    c:send(client.frame(client.TEXT, 'x', { fin = false }) .. tiny:rep(2000))
    c:expect_close(1008)
    assert.same({}, got)
  end)

  -- --- remaining_packet_payload ---

  it('knows how much of a frame is still to come', function()
    local c, _, ws, ctx = open()
    assert.equal(0, ws:remaining_packet_payload())
    local frame = client.frame(client.TEXT, ('x'):rep(1000))
    c:send(frame:sub(1, -301))
    loop.serve_until(ctx, function() return ws:remaining_packet_payload() > 0 end)
    assert.equal('300', tostring(ws:remaining_packet_payload()))
    c:send(frame:sub(-300))
    c:expect_nothing()
    assert.equal(0, ws:remaining_packet_payload())
  end)

  it('has nothing still to come inside on_receive', function()
    local remaining = {}
    local c = pair.open(nil, function(ws)
      ws:on_receive(function() remaining[#remaining + 1] = ws:remaining_packet_payload() end)
    end)
    local next_frame = client.frame(client.TEXT, ('y'):rep(500))
    c:send(client.frame(client.TEXT, ('x'):rep(500)) .. next_frame:sub(1, 100))
    c:send(next_frame:sub(101))
    c:send_frame(client.TEXT, 'a', { fin = false })
    c:send_frame(client.CONTINUATION, 'b')
    c:expect_nothing()
    assert.same({ 0, 0, 0 }, remaining)
  end)
end)

describe('on_receive_chunk', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  -- Collects whole messages as { type, data, pieces }.
  local function gather(ws, messages)
    local current
    ws:on_receive_chunk(function(self, data, is_last, type)
      assert(self == ws)
      current = current or { type = type, data = '', pieces = 0 }
      assert(current.type == type)
      current.data, current.pieces = current.data .. data, current.pieces + 1
      if is_last then
        messages[#messages + 1] = current
        current = nil
      end
    end)
  end

  local function open(config)
    local messages = {}
    local c, ws, ctx = pair.open(config, function(ws) gather(ws, messages) end)
    return c, messages, ws, ctx
  end

  it('is given whole messages in pieces', function()
    local c, messages = open()
    c:text 'hello'
    c:binary ''
    c:send_frame(client.BINARY, 'a', { fin = false })
    c:send_frame(client.CONTINUATION, 'b', { fin = false })
    c:send_frame(client.CONTINUATION, '')
    c:expect_nothing()
    assert.equal(3, #messages)
    assert.equal('hello', messages[1].data)
    assert.equal(websockets.WRITE_TEXT, messages[1].type)
    assert.equal('', messages[2].data)
    assert.equal(1, messages[2].pieces)
    assert.equal(websockets.WRITE_BINARY, messages[2].type)
    assert.equal('ab', messages[3].data)
  end)

  it('is given the bytes as they arrive', function()
    local pieces, remaining = {}, {}
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive_chunk(function(_, data, is_last)
        pieces[#pieces + 1] = data .. (is_last and '.' or '')
        remaining[#remaining + 1] = ws:remaining_packet_payload()
      end)
    end)
    local frame = client.frame(client.TEXT, 'abcdef')
    c:send(frame:sub(1, -5))
    loop.serve_until(ctx, function() return #pieces == 1 end)
    assert.equal(4, ws:remaining_packet_payload())
    c:send(frame:sub(-4, -2))
    loop.serve_until(ctx, function() return #pieces == 2 end)
    c:send(frame:sub(-1))
    loop.serve_until(ctx, function() return #pieces == 3 end)
    assert.same({ 'ab', 'cde', 'f.' }, pieces)
    assert.same({ 4, 1, 0 }, remaining)
  end)

  it('is given large messages', function()
    local c, messages = open()
    local data = ('0123456789'):rep(500000)
    c:binary(data)
    c:expect_nothing()
    assert.is_true(messages[1].data == data)
    assert.is_true(messages[1].pieces > 1)
  end)

  it('is not given text that is not UTF-8', function()
    local c, messages = open()
    c:send_frame(client.TEXT, 'x\226\130', { fin = false })
    c:send_frame(client.CONTINUATION, 'x')
    c:expect_close(1007)
    assert.same({}, messages)
  end)

  it('takes over from on_receive with the next message, and gives back', function()
    local got = {}
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = 'whole ' .. data end)
    end)
    c:send_frame(client.TEXT, 'a', { fin = false })
    c:expect_nothing()
    ws:on_receive_chunk(function(_, data) got[#got + 1] = 'chunk ' .. data end)
    c:send_frame(client.CONTINUATION, 'b')
    c:text 'c'
    c:send_frame(client.TEXT, 'd', { fin = false })
    loop.serve_until(ctx, function() return #got == 3 end)
    ws:on_receive(function(_, data) got[#got + 1] = 'whole ' .. data end)
    c:send_frame(client.CONTINUATION, 'e')
    c:text 'f'
    c:expect_nothing()
    assert.same({ 'whole ab', 'chunk c', 'chunk d', 'chunk e', 'whole f' }, got)
  end)

  it('can switch between messages of one segment', function()
    local got = {}
    local c = pair.open(nil, function(ws)
      local whole
      local function chunk(_, data)
        got[#got + 1] = 'chunk ' .. data
        ws:on_receive(whole)
      end
      function whole(_, data)
        got[#got + 1] = 'whole ' .. data
        ws:on_receive_chunk(chunk)
      end
      ws:on_receive(whole)
    end)
    local frames = {}
    for i = 1, 4 do
      frames[i] = client.frame(client.TEXT, tostring(i))
    end
    c:send(table.concat(frames))
    c:expect_nothing()
    assert.same({ 'whole 1', 'chunk 2', 'whole 3', 'chunk 4' }, got)
  end)
end)
