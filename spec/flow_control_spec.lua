-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

describe('rx_flow_control', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local function open(config, on_receive)
    local got = {}
    local c, ws, ctx = pair.open(config, function(ws)
      ws:on_receive(function(_, data)
        got[#got + 1] = data
        if on_receive then on_receive(ws, data, got) end
      end)
      ws:on_closed(function(_, code) got[#got + 1] = code end)
    end)
    return c, ws, got, ctx
  end

  local function serve_some(ctx)
    for _ = 1, 10 do
      loop.step(ctx, 1)
    end
  end

  it('returns 0', function()
    local _, ws = open()
    for _, value in ipairs { false, true, 0, 1, 0.0, 2 } do
      assert.equal(0, ws:rx_flow_control(value))
    end
  end)

  it('takes booleans and numbers only', function()
    local _, ws = open()
    for _, value in ipairs { '1', 'x', {}, print } do
      assert.has_error(function() ws:rx_flow_control(value) end)
    end
    assert.has_error(function() ws:rx_flow_control(nil) end)
    assert.has_error(function() ws:rx_flow_control() end)
  end)

  for _, values in ipairs { { false, true }, { 0, 1 } } do
    it('holds messages back: ' .. tostring(values[1]), function()
      local c, ws, got, ctx = open()
      ws:rx_flow_control(values[1])
      c:text 'one'
      c:text 'two'
      serve_some(ctx)
      assert.same({}, got)
      ws:rx_flow_control(values[2])
      c:text 'three'
      c:expect_nothing()
      assert.same({ 'one', 'two', 'three' }, got)
    end)
  end

  it('holds back what was read already', function()
    local c, ws, got, ctx = open(nil, function(ws, data)
      if data == '2' then ws:rx_flow_control(false) end
    end)
    local frames = {}
    for i = 1, 5 do
      frames[i] = client.frame(client.TEXT, i .. '')
    end
    c:send(table.concat(frames))
    loop.serve_until(ctx, function() return #got == 2 end)
    c:text '6'
    serve_some(ctx)
    assert.same({ '1', '2' }, got)
    ws:rx_flow_control(true)
    assert.same({ '1', '2' }, got) -- not inside of it
    c:expect_nothing()
    assert.same({ '1', '2', '3', '4', '5', '6' }, got)
  end)

  it('can be switched at every message', function()
    local c, ws, got, ctx = open(nil, function(ws) ws:rx_flow_control(false) end)
    local frames = {}
    for i = 1, 20 do
      frames[i] = client.frame(client.TEXT, i .. '')
    end
    c:send(table.concat(frames))
    for i = 1, 20 do
      loop.serve_until(ctx, function() return #got == i end)
      serve_some(ctx)
      assert.equal(i, #got)
      assert.equal(i .. '', got[i])
      ws:rx_flow_control(true)
    end
    c:expect_nothing()
    assert.equal(20, #got)
  end)

  it('off and on within a callback changes nothing', function()
    local c, _, got = open(nil, function(ws)
      ws:rx_flow_control(false)
      ws:rx_flow_control(true)
    end)
    c:send(client.frame(client.TEXT, '1') .. client.frame(client.TEXT, '2') .. client.frame(client.TEXT, '3'))
    c:expect_nothing()
    assert.same({ '1', '2', '3' }, got)
  end)

  it('works in the callback of the protocol', function()
    local got = {}
    local opened
    local ctx, port = pair.context(nil, function(ws)
      opened = ws
      ws:on_receive(function(_, data) got[#got + 1] = data end)
      ws:rx_flow_control(false)
    end)
    local c = client.open(ctx, port, { protocol = 'p', first = client.frame(client.TEXT, 'early') })
    serve_some(ctx)
    assert.same({}, got)
    opened:rx_flow_control(true)
    opened = nil
    c:expect_nothing()
    assert.same({ 'early' }, got)
  end)

  it('holds back the pieces of a message', function()
    local got = {}
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive_chunk(function(_, data, is_last)
        got[#got + 1] = data .. (is_last and '.' or '')
        ws:rx_flow_control(false)
      end)
    end)
    c:send_frame(client.TEXT, 'a', { fin = false })
    c:send_frame(client.CONTINUATION, 'b', { fin = false })
    c:send_frame(client.CONTINUATION, 'c')
    for i, expected in ipairs { 'a', 'b', 'c.' } do
      loop.serve_until(ctx, function() return #got == i end)
      serve_some(ctx)
      assert.equal(i, #got)
      assert.equal(expected, got[i])
      ws:rx_flow_control(true)
    end
  end)

  it('off lets output through', function()
    local c, ws, _, ctx = open()
    ws:rx_flow_control(false)
    local data = ('x'):rep(16e6)
    ws:write(data)
    ctx:broadcast('p', 'too')
    c:expect_text(data)
    c:expect_text 'too'
  end)

  it('off makes a flooding peer wait, and loses nothing', function()
    local c, ws, got, ctx = open()
    ws:rx_flow_control(false)
    serve_some(ctx)
    local block, count = ('x'):rep(65536), 0
    local pending = ''
    local idle = 0
    -- Until the window is closed.
    while idle < 5 do
      if pending == '' then
        count = count + 1
        pending = client.frame(client.BINARY, count .. block)
      end
      local sent = assert(c:send_some(pending))
      pending = pending:sub(sent + 1)
      idle = sent == 0 and idle + 1 or 0
      loop.step(ctx, 1)
      assert.is_true(count < 2000)
    end
    assert.same({}, got)
    ws:rx_flow_control(true)
    c:send(pending)
    c:expect_nothing()
    assert.equal(count, #got)
    for i = 1, count do
      assert.is_true(got[i] == i .. block)
    end
  end)

  it('off holds back a hang-up, too', function()
    for _, how in ipairs { 'close', 'shutdown' } do
      local c, ws, got, ctx = open()
      ws:rx_flow_control(false)
      loop.step(ctx, 1)
      c:text 'last words'
      c[how](c)
      serve_some(ctx)
      assert.same({}, got)
      ws:rx_flow_control(true)
      loop.serve_until(ctx, function() return #got == 2 end)
      assert.same({ 'last words', 1006 }, got)
    end
  end)

  it('off holds back a Close frame, too', function()
    local c, ws, got, ctx = open()
    ws:rx_flow_control(false)
    c:text 'last words'
    c:send_close(1000)
    serve_some(ctx)
    assert.same({}, got)
    ws:rx_flow_control(true)
    c:expect_close(1000)
    c:expect_end()
    assert.same({ 'last words', 1000 }, got)
  end)

  it('off does not keep the end of a lost peer from being found by a write', function()
    local c, ws, got, ctx = open()
    ws:rx_flow_control(false)
    c:reset()
    loop.serve_until({}, function() return ws:write 'x' ~= 0 end)
    loop.serve_until(ctx, function() return got[1] end)
    assert.same({ 1006 }, got)
  end)

  it('off does not keep close from coming to its end', function()
    local c, ws, got = open { close_timeout = 1000 }
    ws:rx_flow_control(false)
    c:text 'not delivered'
    ws:close(1000)
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
    assert.same({ 1000 }, got)
  end)

  it('off lets terminate and destroy work', function()
    local c, ws, got = open()
    ws:rx_flow_control(false)
    c:text 'not delivered'
    ws:terminate()
    assert.same({ 1006 }, got)
    local d, other, events, ctx = open()
    other:rx_flow_control(false)
    ctx:destroy()
    d:expect_close(1001)
    assert.same({ 1001 }, events)
  end)

  it('off for one does not concern the others', function()
    local got, sockets = {}, {}
    local ctx, port = pair.context(nil, function(ws)
      sockets[#sockets + 1] = ws
      ws:on_receive(function(_, data) got[#got + 1] = data end)
    end)
    local a, b = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
    sockets[1]:rx_flow_control(false)
    a:text 'a'
    b:text 'b'
    b:expect_nothing()
    assert.same({ 'b' }, got)
    sockets[1]:rx_flow_control(true)
    a:expect_nothing()
    assert.same({ 'b', 'a' }, got)
  end)

  it('lets an outer loop be told while a large answer is written to what was held back #pollfd', function()
    local events = {}
    local function ignore() end
    local c, ws, got, ctx = open({ on_add_fd = function() events[#events + 1] = 'add' end, on_del_fd = ignore },
      function(ws, data)
        if data == '1' then return ws:rx_flow_control(false) end
        ws:write(('x'):rep(20000))
        events[#events + 1] = 'written'
      end)
    c:send(client.frame(client.TEXT, '1') .. client.frame(client.TEXT, '2'))
    loop.serve_until(ctx, function() return got[1] end)
    events = {}
    ws:rx_flow_control(true)
    c:expect_text(('x'):rep(20000))
    c:expect_nothing()
    assert.same({ 'written', 'add' }, events)
  end)
end)
