-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local websockets = require 'websockets'

describe('close', function()
  leaks.check_each(before_each, after_each)

  -- A client, its websocket, the list of on_closed events as 'code:reason', the context, the port.
  local function open(config, setup)
    local events = {}
    local c, ws, ctx, port = pair.open(config, function(ws)
      ws:on_closed(function(self, code, reason)
        assert(self == ws)
        events[#events + 1] = code .. ':' .. reason
      end)
      if setup then setup(ws, events) end
    end)
    return c, ws, events, ctx, port
  end

  it('calls on_closed before it returns', function()
    local c, ws, events = open()
    assert.equal(0, select('#', ws:close(1000, 'bye')))
    assert.same({ '1000:bye' }, events)
    c:expect_close(1000, 'bye')
    c:send_close(4000, 'other')
    c:expect_end()
    assert.same({ '1000:bye' }, events)
  end)

  it('without a code sends none', function()
    for _, arguments in ipairs { {}, { 0 }, { 0, '' } } do
      local c, ws, events = open()
      ws:close(arguments[1], arguments[2])
      assert.same({ '1005:' }, events)
      c:expect_close(nil)
      c:send_close()
      c:expect_end()
    end
  end)

  it('with a code needs no reason', function()
    local c, ws, events = open()
    ws:close(1001)
    assert.same({ '1001:' }, events)
    c:expect_close(1001, '')
  end)

  it('takes every code that may be sent', function()
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, code) ws:close(tonumber(code)) end)
    end)
    local codes = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999 }
    for _, code in ipairs(codes) do
      local c = client.open(ctx, port, 'p')
      c:text(code .. '')
      c:expect_close(code)
      c:close()
    end
  end)

  it('refuses codes that may not be sent', function()
    local c, ws, events = open()
    local codes = { 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535, 66536, -1, 1e9 }
    for _, code in ipairs(codes) do
      assert.has_error(function() ws:close(code) end)
    end
    for _, code in ipairs { 'x', true, {} } do
      assert.has_error(function() ws:close(code) end)
    end
    assert.same({}, events)
    c:expect_nothing()
  end)

  it('refuses reasons that cannot be sent', function()
    local c, ws, events = open()
    assert.has_error(function() ws:close(1000, ('x'):rep(124)) end)
    assert.has_error(function() ws:close(1000, '\255') end)
    assert.has_error(function() ws:close(1000, '\226\130') end)
    assert.has_error(function() ws:close(1000, {}) end)
    assert.has_error(function() ws:close(nil, 'a reason without a code') end)
    c:expect_nothing()
    assert.same({}, events)
    local longest = ('x'):rep(123)
    ws:close(1000, longest)
    c:expect_close(1000, longest)
    assert.same({ '1000:' .. longest }, events)
  end)

  it('does nothing the second time', function()
    local c, ws, events = open()
    ws:close(1000, 'first')
    ws:close(1001, 'second')
    ws:close()
    assert.same({ '1000:first' }, events)
    c:expect_close(1000, 'first')
    c:send_close(1000)
    c:expect_end()
    ws:close(1001)
    assert.same({ '1000:first' }, events)
  end)

  it('inside on_closed does nothing', function()
    local c, ws, events = open()
    ws:on_closed(function(self, code)
      events[#events + 1] = code
      self:close(1001)
      events[#events + 1] = self:write 'x'
    end)
    ws:close(1000)
    assert.same({ 1000, -1 }, events)
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
  end)

  it('lets what is queued leave first', function()
    local c, ws = open { max_backpressure = 1e9, close_timeout = 20 * loop.time_factor }
    local block, count = ('x'):rep(1e6), 12
    for _ = 1, count do
      ws:write(block, websockets.WRITE_BINARY)
    end
    ws:close(1000, 'done')
    for _ = 1, count do
      c:expect_binary(block)
    end
    c:expect_close(1000, 'done')
    c:send_close(1000)
    c:expect_end()
  end)

  -- Without any other traffic: also a loop that watches for reading only has to get it all out.
  it('lets 64 MiB leave to a slow reader', function()
    local c, ws, events, ctx = open { max_backpressure = 2 ^ 30, close_timeout = 20 * loop.time_factor }
    local fd = ws:get_socket_fd()
    local block, count = ('0123456789abcdef'):rep(65536), 64
    for i = 1, count do
      assert.equal(0, ws:write(i .. block, websockets.WRITE_BINARY))
    end
    ws:close(1000)
    assert.same({ '1000:' }, events)
    for i = 1, count do
      for _ = 1, 4 do
        loop.step(ctx, 0)
        c:pump()
      end
      c:expect_binary(i .. block)
    end
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
    assert.is_nil(leaks.descriptors()[fd])
  end)

  it('delivers nothing any more', function()
    local got = {}
    local c = open(nil, function(ws)
      ws:on_receive(function(_, data)
        got[#got + 1] = data
        ws:close(1000)
      end)
    end)
    c:send(client.frame(client.TEXT, 'one') .. client.frame(client.TEXT, 'two'))
    c:text 'three'
    c:expect_close(1000)
    c:text 'four'
    c:send_close(1000)
    c:expect_end()
    assert.same({ 'one' }, got)
  end)

  it('works in the callback of the protocol', function()
    local c, _, events = open(nil, function(ws)
      ws:write 'greeting'
      ws:close(4321, 'no')
    end)
    c:expect_text 'greeting'
    c:expect_close(4321, 'no')
    c:send_close(4321)
    c:expect_end()
    assert.same({ '4321:no' }, events)
  end)

  it('works on other connections, which were about to be served', function()
    local sockets, closed, clients, survivor = {}, 0, {}, nil
    local ctx, port = pair.context(nil, function(ws)
      local number = #sockets + 1
      sockets[number] = ws
      ws:on_closed(function() closed = closed + 1 end)
      ws:on_receive(function()
        survivor = survivor or number
        for _, other in ipairs(sockets) do
          if other ~= ws then other:close(1000) end
        end
      end)
    end)
    for i = 1, 5 do
      clients[i] = client.open(ctx, port, 'p')
    end
    for _, c in ipairs(clients) do
      c:text 'whoever is first' -- all of them are ready in the same round
    end
    loop.serve_until(ctx, function() return closed == 4 end)
    for i, c in ipairs(clients) do
      if i == survivor then
        c:expect_nothing()
      else
        c:expect_close(1000)
      end
    end
    assert.equal(4, closed)
  end)

  it('drops a peer that does not answer after close_timeout', function()
    local before = leaks.descriptors()
    local c, ws, events, ctx = open { close_timeout = 0.05 }
    local fd = ws:get_socket_fd()
    ws:close(1000)
    c:expect_close(1000)
    c:expect_end()
    assert.is_nil(before[fd])
    loop.serve_until(ctx, function() return not leaks.descriptors()[fd] end)
    assert.same({ '1000:' }, events)
  end)

  it('drops a peer that does not read after close_timeout', function()
    local c, ws, events, ctx = open { close_timeout = 0.05, max_backpressure = 1e9 }
    local fd = ws:get_socket_fd()
    ws:write(('x'):rep(32e6))
    -- Until the system takes no more: the Close frame does not get away either.
    local queued
    repeat
      queued = ws:buffered_amount()
      for _ = 1, 10 do
        loop.step(ctx, 1)
      end
    until ws:buffered_amount() == queued
    ws:close(1000)
    loop.serve_until(ctx, function() return not leaks.descriptors()[fd] end)
    assert.same({ '1000:' }, events)
    c:read_all()
  end)

  -- How a connection comes to its end while much is queued: each is given a client of it and its websocket.
  local endings = {
    ['after close'] = function(_, ws) ws:close(1000) end,
    ['after the Close frame of the peer'] = function(c) c:send_close(1000) end,
    ['after an error of the peer'] = function(c) c:send_frame(3) end,
    ['after the end of what the peer sends'] = function(c) c:shutdown() end,
  }
  for how, begin_end in pairs(endings) do
    it('waits for a peer that goes on reading, for longer than close_timeout in all: ' .. how, function()
      local data = ('x'):rep(16e6)
      -- Reads something after half the time, the rest when it is over, and returns whether it gets everything.
      local function outlives(close_timeout)
        local events = {}
        local c, ws, ctx = pair.open({ close_timeout = close_timeout, max_backpressure = 1e9 }, function(ws)
          ws:on_closed(function(_, code) events[#events + 1] = code end)
        end, { receive_buffer = 65536 })
        ws:write(data)
        begin_end(c, ws)
        loop.serve_until(ctx, function() return events[1] end)
        local began = socket.gettime()
        local function passed() return socket.gettime() - began end
        loop.serve_until(ctx, function() return passed() > close_timeout / 2 end)
        local queued = ctx:stats().queued_bytes
        loop.serve_until(ctx, function()
          while c:pump() do end
          return queued == 0 or ctx:stats().queued_bytes < queued -- 0: it was dropped meanwhile
        end)
        local connections
        -- Timers are called in the order of their times, however late.
        ctx:after(math.max(1.25 * close_timeout - passed(), 0), function()
          connections = ctx:stats().open_connections
        end)
        loop.serve_until(ctx, function() return connections end)
        local is_whole = #c:read_all() > #data
        ctx:destroy()
        assert.equal(1, #events)
        return connections == 1 and is_whole
      end
      -- A machine that stands still for so long proves nothing.
      local close_timeout = 0.1
      repeat
        close_timeout = 2 * close_timeout
        assert.is_true(close_timeout < 10)
      until outlives(close_timeout)
    end)
  end

  it('has closed the descriptor when the peer sees the end', function()
    local c, ws = open()
    local fd = ws:get_socket_fd()
    ws:close(1000)
    c:expect_close(1000)
    assert.is_number(leaks.descriptors()[fd])
    c:send_close(1000)
    c:expect_end()
    assert.is_nil(leaks.descriptors()[fd])
  end)

  it('ends well when the peer goes instead of answering', function()
    for _, how in ipairs { 'close', 'reset', 'shutdown' } do
      local c, ws, events, ctx = open()
      local fd = ws:get_socket_fd()
      ws:close(1000)
      c[how](c)
      loop.serve_until(ctx, function() return not leaks.descriptors()[fd] end)
      assert.same({ '1000:' }, events)
    end
  end)

  it('ends well when both sides close at once', function()
    local c, ws, events = open()
    c:send_close(1000, 'client')
    ws:close(1001, 'server')
    c:expect_close(1001, 'server')
    c:expect_end()
    assert.same({ '1001:server' }, events)
  end)

  it('terminate drops the connection at once', function()
    local before = leaks.descriptors()
    local c, ws, events = open()
    local fd = ws:get_socket_fd()
    assert.equal(0, select('#', ws:terminate()))
    assert.same({ '1006:' }, events)
    assert.is_nil(before[fd])
    assert.is_nil(leaks.descriptors()[fd])
    c:expect_loss()
    ws:terminate()
    assert.same({ '1006:' }, events)
  end)

  it('terminate works inside its own callbacks', function()
    local c, _, events = open(nil, function(ws, events)
      ws:on_receive(function()
        ws:terminate()
        events[#events + 1] = 'terminated'
      end)
    end)
    c:send(client.frame(client.TEXT, 'one') .. client.frame(client.TEXT, 'two'))
    c:expect_loss()
    assert.same({ '1006:', 'terminated' }, events)
  end)

  it('can be cut short by terminate, which drops what is queued', function()
    local c, ws, events = open { max_backpressure = 1e9, close_timeout = 60 * loop.time_factor }
    local fd, data = ws:get_socket_fd(), ('x'):rep(64e6)
    ws:write(data)
    ws:close(1000)
    assert.is_number(leaks.descriptors()[fd])
    assert.equal(0, select('#', ws:terminate()))
    assert.is_nil(leaks.descriptors()[fd])
    assert.same({ '1000:' }, events)
    assert.is_true(#c:read_all() < #data)
    ws:terminate()
  end)

  it('can be cut short while the answer to the Close frame is waited for', function()
    local c, ws, events = open { close_timeout = 60 * loop.time_factor }
    ws:close(4000, 'bye')
    ws:terminate()
    c:read_all()
    assert.same({ '4000:bye' }, events)
  end)

  it('can be cut short within on_closed', function()
    local log = {}
    local c, ws = open { close_timeout = 60 * loop.time_factor }
    local fd = ws:get_socket_fd()
    ws:on_closed(function(self, code)
      log[#log + 1] = code
      self:terminate()
    end)
    ws:close(1000)
    assert.is_nil(leaks.descriptors()[fd])
    assert.same({ 1000 }, log)
    c:read_all()
  end)

  -- It ends at once, or after it was closed while it was still there.
  for _, how in ipairs { 'terminate', 'close' } do
    it('leaves a websocket whose terminate does not touch who got its descriptor: ' .. how, function()
      local sockets, unconnected = {}, {}
      local ctx, port = pair.context(nil, function(ws) sockets[ws:get_socket_fd()] = ws end)
      local first = client.open(ctx, port, 'p')
      local fd, ws = next(sockets)
      for i = 1, 10 do
        unconnected[i] = assert(socket.tcp4())
      end
      ws[how](ws)
      if how == 'close' then
        first:expect_close()
        first:send_close()
      end
      first:expect_loss()
      sockets = {}
      local clients = {}
      for i, sock in ipairs(unconnected) do
        assert(sock:connect('127.0.0.1', port))
        sock:settimeout(0)
        clients[i] = client.adopt(ctx, sock)
        assert.equal(101, (clients[i]:handshake { protocol = 'p' }))
      end
      assert.is_truthy(sockets[fd])
      ws:terminate()
      for _, c in ipairs(clients) do
        c:expect_nothing()
      end
      sockets = {}
    end)
  end

  it('leaves a websocket whose terminate does nothing once the context was collected', function()
    local c, ws = open()
    ws:close(1000)
    c.ctx = {}
    leaks.collect()
    assert.equal(0, select('#', ws:terminate()))
    c:expect_close(1000)
  end)

  -- --- Afterwards ---

  local function expect_closed_answers(ws)
    local result, why = ws:write 'x'
    assert.equal(-1, result)
    assert.equal('closed', why)
    result, why = ws:broadcast 'x'
    assert.equal(-1, result)
    assert.equal('closed', why)
    assert.equal(0, select('#', ws:close()))
    assert.equal(0, select('#', ws:close(1000, 'x')))
    assert.equal(0, select('#', ws:terminate()))
    assert.equal(-1, ws:get_socket_fd())
    local name, ip = ws:get_peer_addresses()
    assert.equal('', name)
    assert.equal('', ip)
    assert.equal(0, ws:remaining_packet_payload())
    assert.equal(0, ws:buffered_amount())
    assert.equal(1, ws:rx_flow_control(false))
    assert.equal(1, ws:rx_flow_control(1))
    for _, method in ipairs { 'on_receive', 'on_receive_chunk', 'on_closed', 'on_server_writeable' } do
      ws[method](ws, function() error 'never called' end)
    end
    ws:on_broadcast(function() error 'never called' end)
    ws:on_broadcast(websockets.WRITE_TEXT)
    assert.matches('^websocket: 0x%x+.*closed', tostring(ws))
  end

  it('leaves a websocket that keeps none of its callbacks', function()
    local _, ws = open()
    local held = setmetatable({}, { __mode = 'k' })
    local function set(method)
      local object = {}
      held[object] = method
      ws[method](ws, function() return object end)
    end
    for _, method in ipairs { 'on_receive', 'on_receive_chunk', 'on_closed', 'on_server_writeable', 'on_broadcast',
      'on_pong' } do
      set(method)
    end
    ws:close()
    leaks.collect()
    assert.is_nil((select(2, next(held))))
  end)

  it('leaves a websocket whose methods do no harm', function()
    local c, ws = open()
    ws:close(1000)
    expect_closed_answers(ws)
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
    expect_closed_answers(ws)
  end)

  it('leaves such a websocket however it came to its end', function()
    local ends = {
      function(c) c:send_close(1000) end,
      function(c) c:reset() end,
      function(c) c:close() end,
      function(c) c:text '\255' end,
      function(_, ws) ws:terminate() end,
      function(_, _, ctx) ctx:destroy() end,
    }
    for _, finish in ipairs(ends) do
      local c, ws, events, ctx = open()
      finish(c, ws, ctx)
      loop.serve_until(ctx, function() return events[1] end)
      expect_closed_answers(ws)
    end
  end)

  it('leaves such a websocket when the context is collected', function()
    local c, ws, events, ctx = open()
    ws:close(1000)
    c.ctx, ctx = {}, nil
    leaks.collect()
    assert.is_nil(ctx)
    expect_closed_answers(ws)
    assert.same({ '1000:' }, events)
  end)

  it('checks arguments all the same', function()
    local _, ws = open()
    ws:close()
    assert.has_error(function() ws:write({}) end)
    assert.has_error(function() ws:write('x', 99) end)
    assert.has_error(function() ws:close(1) end)
    assert.has_error(function() ws:on_receive(1) end)
    assert.has_error(function() ws:on_broadcast('x') end)
    assert.has_error(function() ws:rx_flow_control('x') end)
  end)
end)
