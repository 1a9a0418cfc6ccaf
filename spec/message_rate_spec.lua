-- SPDX-License-Identifier: MIT
-- max_message_rate: how many messages a websocket may send.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

describe('max_message_rate', function()
  leaks.check_each(before_each, after_each)

  -- So slow that no test sees a further one.
  local slow = 0.001

  -- A client, its websocket, and the list of what on_receive is given.
  local function open(rate, options, config)
    local got = {}
    local settings = { max_message_rate = rate }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    local c, ws, ctx, port = pair.open(settings, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
      ws:on_closed(function(_, code, reason) got.code, got.reason = code, reason end)
    end, options)
    return c, ws, got, ctx, port
  end

  local function frames(count, payload)
    local list = {}
    for i = 1, count do
      list[i] = client.frame(client.TEXT, payload or tostring(i))
    end
    return table.concat(list)
  end

  local function expect_violation(c, got, count)
    c:expect_close(1008, 'too many messages')
    assert.equal(count, #got)
    assert.equal(1008, got.code)
    assert.equal('too many messages', got.reason)
  end

  it('lets a burst come, and not a message more: at once', function()
    local c, _, got = open { slow, 5 }
    c:send(frames(6))
    expect_violation(c, got, 5)
    assert.same({ '1', '2', '3', '4', '5' }, { got[1], got[2], got[3], got[4], got[5] })
  end)

  it('lets a burst come, and not a message more: one by one', function()
    local c, _, got = open { slow, 5 }
    for i = 1, 5 do
      c:text(tostring(i))
      loop.serve_until(c.ctx, function() return #got == i end)
    end
    assert.is_nil(got.code)
    c:text '6'
    expect_violation(c, got, 5)
  end)

  it('lets a burst come, and not a message more: large ones, fragments, compressed ones', function()
    local large = ('x'):rep(70000)
    local c, _, got = open { slow, 3 }
    c:send(frames(2, large) .. client.frame(client.TEXT, 'a', { fin = false }) ..
      client.frame(client.CONTINUATION, 'b') .. frames(1, large))
    expect_violation(c, got, 3)
    local d, _, told = open({ slow, 2 }, { headers = { ['Sec-WebSocket-Extensions'] = 'permessage-deflate' } },
      { compression = true })
    local empty = client.frame(client.TEXT, '\0', { rsv1 = true })
    d:send(empty .. empty .. empty)
    expect_violation(d, told, 2)
  end)

  it('counts messages in chunks by their end', function()
    local ended = 0
    local c = pair.open({ max_message_rate = { slow, 2 } }, function(ws)
      ws:on_receive_chunk(function(_, _, is_last) ended = ended + (is_last and 1 or 0) end)
    end)
    c:send(frames(3))
    c:expect_close(1008)
    assert.equal(2, ended)
  end)

  it('refills with time', function()
    local c, _, got = open { 1000, 1 }
    for i = 1, 5 do
      c:text(tostring(i))
      local later
      c.ctx:after(0.005, function() later = true end)
      loop.serve_until(c.ctx, function() return later and #got == i end)
    end
    assert.is_nil(got.code)
  end)

  it('counts no pings and pongs, and each websocket by itself', function()
    local c, _, got, ctx, port = open { slow, 2 }
    c:send(client.frame(client.PONG, 'x'):rep(20) .. frames(2))
    loop.serve_until(ctx, function() return #got == 2 end)
    for _ = 1, 5 do
      c:ping 'x'
      assert.equal(client.PONG, c:receive_frame().opcode)
    end
    local d = client.open(ctx, port, 'p')
    d:send(frames(2))
    loop.serve_until(ctx, function() return #got == 4 end)
    assert.is_nil(got.code)
    d:send(frames(1))
    d:expect_close(1008)
    c:expect_nothing()
  end)

  it('is a number, too, for both', function()
    local c, _, got = open(3)
    c:send(frames(200))
    c:expect_close(1008)
    assert.equal(3, #got)
    local d, _, told = open { 1e6 }
    d:send(frames(200))
    loop.serve_until(d.ctx, function() return #told == 200 end)
    local e, _, one = open { slow } -- a burst is one at least
    e:send(frames(2))
    expect_violation(e, one, 1)
  end)

  it('is off by default', function()
    local c, _, got = open()
    c:send(frames(5000))
    loop.serve_until(c.ctx, function() return #got == 5000 end)
  end)

  it('is counted', function()
    local c, _, _, ctx = open { slow, 1 }
    c:send(frames(2))
    c:expect_close(1008)
    assert.equal(1, ctx:stats().closed[1008])
  end)

  it('is checked', function()
    for _, wrong in ipairs { 0, -1, 1e7, 'x', true, {}, { 0 }, { 'x' }, { 1, 0 }, { 1, 1e7 }, { 1, 'x' }, { 0 / 0 },
      { rate = 5, burst = 20 }, { rate = 5 }, { 1, burst = 2 }, { 1, 2, 3 }, { 1, 2, false } } do
      local ok, message = pcall(websockets.context, { protocols = { p = print }, max_message_rate = wrong })
      assert.is_false(ok)
      assert.is_truthy(message:find("option 'max_message_rate' is ", 1, true), message)
      assert.is_truthy(message:find('expected { 5, 20 }: messages per second, messages at once, ', 1, true), message)
    end
    websockets.context({ protocols = { p = print }, max_message_rate = { '1', '2' } }):destroy()
  end)
end)
