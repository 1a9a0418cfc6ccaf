-- SPDX-License-Identifier: MIT
-- Frames that break RFC 6455, and those that only look so. The unit tests have every case; here is what goes
-- over a socket for each kind of them.
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

local frame = client.frame
local TEXT, CONTINUATION = client.TEXT, client.CONTINUATION
local CLOSE, PING, PONG = client.CLOSE, client.PING, client.PONG

describe('a frame', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local function open()
    local got, closed = {}, {}
    local c, _, ctx = pair.open({ max_message_size = 2 ^ 53 }, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
      ws:on_closed(function(_, code) closed[#closed + 1] = code end)
    end)
    return c, got, closed, ctx
  end

  local no_fin = { fin = false }
  local begun = frame(TEXT, 'x', no_fin)
  local wrong = {
    ['with a reserved bit'] = frame(TEXT, 'x', { rsv = 4 }),
    ['with a reserved opcode'] = frame(3, ''),
    ['that is not masked'] = frame(TEXT, 'x', { mask = false }),
    ['with the topmost bit of the length'] = string.char(129, 255) .. '\128\0\0\0\0\0\0\0',
    ['that is a ping of 126 bytes'] = frame(PING, ('x'):rep(126)),
    ['that continues nothing'] = frame(CONTINUATION, 'x'),
    ['that is a Close with a code that may not be sent'] = frame(CLOSE, client.close_body(1005)),
  }

  for name, bytes in pairs(wrong) do
    it(name .. ' ends the connection with 1002', function()
      local c, _, closed = open()
      c:send(bytes)
      c:expect_close(1002)
      assert.same({ 1002 }, closed)
      c:send_close(1002)
      c:expect_end()
    end)
  end

  for name, bytes in pairs {
    ['of text that is not UTF-8'] = frame(TEXT, '\255'),
    ['that is a Close whose reason is not UTF-8'] = frame(CLOSE, client.close_body(1000, '\195')),
  } do
    it(name .. ' ends the connection with 1007', function()
      local c, _, closed = open()
      c:send(bytes)
      c:expect_close(1007)
      assert.same({ 1007 }, closed)
    end)
  end

  it('that is wrong is found byte by byte, too', function()
    for _, name in ipairs { 'that is not masked', 'with the topmost bit of the length' } do
      local c = open()
      for position = 1, #wrong[name] do
        if not c:send_some(wrong[name]:sub(position, position)) then break end -- closed already
        loop.step(c.ctx, 0)
      end
      c:expect_close(1002)
    end
  end)

  it('that is wrong does not take back what came before', function()
    local c, got = open()
    c:send(frame(TEXT, 'one') .. frame(TEXT, 'two') .. frame(3, '') .. frame(TEXT, 'three'))
    c:expect_close(1002)
    assert.same({ 'one', 'two' }, got)
  end)

  it('that is a ping is answered with what it carries', function()
    local c = open()
    for _, data in ipairs { '', 'x', '\0\255', ('x'):rep(125) } do
      c:ping(data)
      c:expect_frame(PONG, data)
    end
  end)

  it('that is a ping is answered in order, between and within messages', function()
    local c, got = open()
    c:send(frame(PING, '1') .. frame(TEXT, 'a', no_fin) .. frame(PING, '2') .. frame(CONTINUATION, 'b') ..
      frame(PING, '3') .. frame(TEXT, 'c'))
    for i = 1, 3 do
      c:expect_frame(PONG, i .. '')
    end
    c:expect_nothing()
    assert.same({ 'ab', 'c' }, got)
  end)

  it('that is a ping is answered byte by byte, too', function()
    local c = open()
    c:send_split(frame(PING, 'hello'))
    c:expect_frame(PONG, 'hello')
  end)

  it('that is a pong is ignored', function()
    local c, got = open()
    c:send_frame(PONG, 'nobody asked')
    c:send_frame(PONG, '')
    c:expect_nothing()
    assert.same({}, got)
  end)

  it('that is a Close is answered with its code, and ends the connection', function()
    for _, code in ipairs { 1000, 3000, 4999 } do
      local c, _, closed = open()
      c:send_close(code, 'reason')
      c:expect_close(code)
      c:expect_end()
      assert.same({ code }, closed)
    end
  end)

  it('that is a Close may come within a fragmented message', function()
    local c, got = open()
    c:send(begun .. frame(CLOSE, client.close_body(1000)))
    c:expect_close(1000)
    c:expect_end()
    assert.same({}, got)
  end)

  it('behind a Close is ignored', function()
    local c, got = open()
    c:send(frame(CLOSE, client.close_body(1000)) .. frame(TEXT, 'x') .. frame(3, '') .. frame(PING, ''))
    c:expect_close(1000)
    c:expect_end()
    assert.same({}, got)
  end)
end)
