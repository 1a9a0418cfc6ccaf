-- SPDX-License-Identifier: MIT
-- How a connection ends on the wire, whoever is in the midst of what.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

local is_slow = loop.time_factor > 1
local megabyte = 1024 * 1024
-- More than the system keeps for both sides of a connection.
local big_bytes = 16 * megabyte

describe('the end of a connection', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  -- A connection, what its on_closed was told, what it received, its websocket, context and port.
  local function open(config)
    local closed, got = {}, {}
    local c, ws, ctx, port = pair.open(config, function(ws)
      ws:on_receive(function(self, data)
        got[#got + 1] = data
        if data == 'fail' then error 'deliberate' end
        if data == 'close' then self:close(4000) end
      end)
      ws:on_closed(function(_, code) closed[#closed + 1] = code end)
    end)
    return c, closed, got, ws, ctx, port
  end

  -- Has the server queue so many bytes that some wait until they are read.
  local big = http.pattern(big_bytes)
  local function queue_big(ws)
    assert.equal(0, ws:write(big, websockets.WRITE_BINARY))
    assert.is_true(ws:buffered_amount() > 0)
  end

  local function wait_for_end(ctx, closed)
    loop.serve_until(ctx, function() return closed[1] end, 'on_closed')
  end

  -- Nobody else is disturbed.
  local function expect_alive(ctx, port)
    client.open(ctx, port, 'p'):expect_nothing()
  end

  -- --- The client is sending still ---

  local rest = ('x'):rep(is_slow and 2 * megabyte or 12 * megabyte)
  for name, case in pairs {
    ['that breaks the rules'] = { 1002, client.frame(3, '') },
    ['that sends too long a message'] = { 1009, client.frame(client.BINARY, '', { length = 1000001 }) },
    ['whose text is not UTF-8'] = { 1007, client.frame(client.TEXT, '\255', { length = 1000000 }) },
    ['at whose message on_receive fails'] = { 1011, client.frame(client.TEXT, 'fail') },
  } do
    it('is explained to a client ' .. name .. ' and goes on sending', function()
      local code, bytes = case[1], case[2]
      local c, closed, _, _, ctx, port = open { max_message_size = 1000000, on_error = function() end }
      c:send(bytes .. rest)
      c:expect_close(code)
      c:expect_end()
      assert.same({ code }, closed)
      c:close()
      expect_alive(ctx, port)
    end)
  end

  it('is explained to a client that goes on sending when the server closes', function()
    local c, closed, got = open()
    local message = client.frame(client.TEXT, ('x'):rep(10000))
    c:send(client.frame(client.TEXT, 'close') .. message:rep(math.floor(#rest / #message)))
    c:expect_close(4000)
    c:send_close(4000)
    c:expect_end()
    assert.same({ 4000 }, closed)
    assert.same({ 'close' }, got)
  end)

  it('comes after close_timeout when the client does not stop sending', function()
    local c, closed, _, _, ctx = open { close_timeout = 0.05 }
    c:send(client.frame(3, ''))
    local why
    loop.serve_until(ctx, function()
      local _
      _, why = c:send_some(('x'):rep(1000))
      return why
    end, 'the end')
    assert.same({ 1002 }, closed)
  end)

  it('comes after close_timeout when the client sends messages without end to a closed websocket', function()
    local c, closed, _, ws, ctx = open { close_timeout = 0.05 }
    ws:close()
    local message, why = client.frame(client.TEXT, ('x'):rep(1000)), nil
    loop.serve_until(ctx, function()
      local sent
      sent, why = c:send_some(message)
      if sent and sent < #message then c:send(message:sub(sent + 1)) end
      return why
    end, 'the end')
    assert.same({ 1005 }, closed)
  end)

  -- --- The client has not read everything yet ---

  it('lets what is queued leave first when the client closes', function()
    local c, closed, _, ws = open()
    queue_big(ws)
    c:send_close(1000, 'enough')
    c:expect_binary(big)
    c:expect_close(1000)
    c:expect_end()
    assert.same({ 1000 }, closed)
  end)

  it('lets what is queued leave first when the client closes and ends its side', function()
    local c, closed, _, ws = open()
    queue_big(ws)
    c:send_close(1000)
    c:shutdown()
    c:expect_binary(big)
    c:expect_close(1000)
    c:expect_end()
    assert.same({ 1000 }, closed)
  end)

  it('lets what is queued leave first when the client breaks the rules', function()
    local c, closed, _, ws = open()
    queue_big(ws)
    c:send(client.frame(3, ''))
    c:shutdown()
    c:expect_binary(big)
    c:expect_close(1002)
    c:expect_end()
    assert.same({ 1002 }, closed)
  end)

  it('lets what is queued leave first when the client only ends its side', function()
    local c, closed, _, ws, ctx = open()
    queue_big(ws)
    c:shutdown()
    wait_for_end(ctx, closed)
    assert.equal(-1, (ws:write 'x'))
    c:expect_binary(big)
    c:expect_end()
    assert.same({ 1006 }, closed)
  end)

  it('lets what is queued leave first when both end at once', function()
    local c, closed, _, ws = open()
    queue_big(ws)
    ws:close(4000)
    c:shutdown()
    c:expect_binary(big)
    c:expect_close(4000)
    c:expect_end()
    assert.same({ 4000 }, closed)
  end)

  it('delivers first what came before the client ended its side', function()
    local c, closed, got, _, ctx = open()
    local incomplete = client.frame(client.TEXT, 'x'):sub(1, -2)
    c:send(client.frame(client.TEXT, 'one') .. client.frame(client.TEXT, 'two') .. incomplete)
    c:shutdown()
    wait_for_end(ctx, closed)
    assert.same({ 'one', 'two' }, got)
    assert.same({ 1006 }, closed)
    c:expect_end()
  end)

  it('comes after close_timeout when the client has ended its side and does not read', function()
    local c, closed, _, ws, ctx, port = open { close_timeout = 0.05 }
    queue_big(ws)
    c:shutdown()
    wait_for_end(ctx, closed)
    client.connect(ctx, port):reset()
    assert.is_true(#c:read_all() <= big_bytes + 14)
    assert.same({ 1006 }, closed)
  end)

  -- --- The connection is reset ---

  local large = client.frame(client.BINARY, big:sub(1, megabyte))
  local moments = {
    ['between messages'] = '',
    ['in a header'] = '\130',
    ['in a longer header'] = large:sub(1, 9),
    ['in a short payload'] = client.frame(client.TEXT, 'hello'):sub(1, -2),
    ['in a large payload'] = large:sub(1, -2),
    ['in a ping'] = client.frame(client.PING, 'hello'):sub(1, -2),
    ['in a Close'] = client.frame(client.CLOSE, client.close_body(1000)):sub(1, -2),
    ['between fragments'] = client.frame(client.TEXT, 'hello', { fin = false }),
    ['between ping and pong'] = client.frame(client.PING, 'hello'),
  }
  for moment, bytes in pairs(moments) do
    it('is told as 1006 when the connection is reset ' .. moment, function()
      local c, closed, _, ws, ctx, port = open()
      c:send(bytes)
      loop.step(ctx)
      c:reset()
      wait_for_end(ctx, closed)
      assert.same({ 1006 }, closed)
      assert.equal(-1, (ws:write 'x'))
      expect_alive(ctx, port)
    end)
  end

  it('is told as 1006 when the connection is reset while output waits', function()
    local c, closed, _, ws, ctx, port = open()
    queue_big(ws)
    c:reset()
    wait_for_end(ctx, closed)
    assert.same({ 1006 }, closed)
    expect_alive(ctx, port)
  end)

  it('is told once when the connection is reset after a Close', function()
    for _, answer in ipairs { 'reset', 'close', 'shutdown' } do
      local c, closed, _, ws, ctx, port = open()
      ws:close(4000)
      c:expect_close(4000)
      c[answer](c)
      expect_alive(ctx, port)
      assert.same({ 4000 }, closed)
    end
  end)

  it('is told once when the connection is reset while the server lingers', function()
    local c, closed, _, _, ctx, port = open()
    c:send(client.frame(3, ''))
    c:expect_close(1002)
    c:reset()
    expect_alive(ctx, port)
    assert.same({ 1002 }, closed)
  end)

  it('is told once when the connection is reset while the last output waits', function()
    local c, closed, _, ws, ctx, port = open()
    queue_big(ws)
    ws:close(4000)
    loop.step(ctx)
    c:reset()
    expect_alive(ctx, port)
    assert.same({ 4000 }, closed)
  end)

  -- --- Floods ---

  it('is not brought about by pings that are not read, which do not pile up', function()
    local c, closed, _, ws = open { max_backpressure = megabyte }
    queue_big(ws)
    local before = ws:buffered_amount()
    c:send(client.frame(client.PING, ('x'):rep(125)):rep(is_slow and 200 or 5000))
    assert.is_true(ws:buffered_amount() <= before + megabyte)
    c:expect_binary(big)
    local frame
    c:text 'close'
    repeat
      frame = c:receive_frame()
    until frame.opcode ~= client.PONG
    assert.equal(client.CLOSE, frame.opcode)
    assert.same({ 4000 }, closed)
  end)

  it('is not brought about by many pongs', function()
    local c, _, got = open()
    c:send(client.frame(client.PONG, ('x'):rep(125)):rep(2000) .. client.frame(client.TEXT, 'last'))
    c:expect_nothing()
    assert.same({ 'last' }, got)
  end)

  it('is brought about by an endless message of empty fragments', function()
    local c, closed = open()
    local empty = client.frame(client.CONTINUATION, '', { fin = false })
    c:send(client.frame(client.TEXT, '', { fin = false }) .. empty:rep(3000))
    c:expect_close(1008)
    assert.same({ 1008 }, closed)
  end)

  it('is not brought about by many fragments of some size', function()
    local c, _, got = open()
    local fragment = client.frame(client.CONTINUATION, ('x'):rep(20), { fin = false })
    c:send_frame(client.TEXT, 'begin', { fin = false })
    c:send(fragment:rep(2000))
    c:send_frame(client.CONTINUATION, 'end')
    c:expect_nothing()
    assert.same({ 'begin' .. ('x'):rep(40000) .. 'end' }, got)
  end)

  it('comes once for each of many connections that end in many ways', function()
    local ended, count = {}, 0
    local ctx, port = pair.context({ on_error = function() end }, function(ws)
      local number = count + 1
      count = number
      ws:on_receive(function() error 'deliberate' end)
      ws:on_closed(function() ended[number] = (ended[number] or 0) + 1 end)
    end)
    local ways = {
      function(c) c:reset() end,
      function(c) c:close() end,
      function(c) c:shutdown() end,
      function(c) c:send_close(1000) end,
      function(c) c:text 'fail' end,
      function(c) c:send(client.frame(3, '')) end,
      function(c)
        c:send_close()
        c:reset()
      end,
    }
    local total = is_slow and 21 or 140
    for i = 1, total do
      ways[i % #ways + 1](client.open(ctx, port, 'p'))
    end
    loop.serve_until(ctx, function() return #ended == total end, 'all to end')
    for number = 1, total do
      assert.equal(1, ended[number])
    end
  end)
end)
