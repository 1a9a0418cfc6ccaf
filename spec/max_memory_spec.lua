-- SPDX-License-Identifier: MIT
-- What all connections together may keep in memory.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local BINARY = websockets.WRITE_BINARY
local kilobyte, megabyte = 1024, 1024 * 1024
local verdict = '1013:the server is short of memory'

describe('max_memory', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- An echo server; its port; its websockets; the events of on_closed as 'code:reason'.
  local function open_context(config, setup)
    local sockets, closed = {}, {}
    local ctx, port = pair.context(config, function(ws)
      sockets[#sockets + 1] = ws
      ws:on_receive(function(_, data) ws:write(data) end)
      ws:on_closed(function(_, code, reason) closed[#closed + 1] = code .. ':' .. reason end)
      if setup then setup(ws) end
    end)
    return ctx, port, sockets, closed
  end

  local function expect_echo(c)
    c:text 'are you there?'
    c:expect_text 'are you there?'
  end

  local half = client.frame(client.BINARY, ('x'):rep(megabyte), { length = 2 * megabyte })

  local function attack_with_halves(config, options)
    config.max_memory = 4 * megabyte
    local ctx, port, _, closed = open_context(config)
    local good = client.open(ctx, port, options)
    local clients, count = {}, 12
    for i = 1, count do
      clients[i] = client.open(ctx, port, options)
      clients[i]:send(half)
      expect_echo(good)
    end
    loop.serve_until(ctx, function() return #closed >= count - 4 end, 'the end of most')
    for _, event in ipairs(closed) do
      assert.equal(verdict, event)
    end
    local ended = 0
    for _, c in ipairs(clients) do
      c:pump()
      if c.buffered > 0 then
        c:expect_close(1013, 'the server is short of memory')
        ended = ended + 1
      end
    end
    assert.equal(#closed, ended)
    assert.equal(#closed, ctx:stats().refused.memory)
    expect_echo(good)
  end

  it('is not exceeded by many who send half a message', function() attack_with_halves({}, 'p') end)

  it('is not exceeded by many who send half a message over TLS',
    function() attack_with_halves(tls.config(), { protocol = 'p', tls = {} }) end)

  it('is not exceeded by many who send fragments', function()
    local ctx, port, _, closed = open_context { max_memory = megabyte }
    local good = client.open(ctx, port, 'p')
    local fragment = client.frame(client.CONTINUATION, ('x'):rep(1000), { fin = false })
    for _ = 1, 20 do
      local c = client.open(ctx, port, 'p')
      c:send(client.frame(client.TEXT, 'x', { fin = false }) .. fragment:rep(100))
      expect_echo(good)
    end
    assert.is_true(#closed >= 10, #closed)
    assert.equal(verdict, closed[1])
  end)

  it('is not exceeded by many who do not read', function()
    local limit = 16 * megabyte
    local ctx, port, sockets, closed = open_context { max_memory = limit, max_backpressure = 64 * megabyte }
    local good = client.open(ctx, port, 'p')
    local clients = {}
    for i = 1, 8 do
      clients[i] = client.open(ctx, port, { protocol = 'p', receive_buffer = 65536 })
    end
    for i = 1, 12 do
      for j = 2, #sockets do
        sockets[j]:write(i .. ('x'):rep(megabyte), BINARY)
      end
      expect_echo(good)
      local waiting = ctx:stats().queued_bytes -- for those that were closed, too
      assert.is_true(waiting <= limit, waiting)
    end
    assert.is_true(#closed >= 1)
    for _, event in ipairs(closed) do
      assert.equal(verdict, event)
    end
    expect_echo(good)
    sockets[1] = nil
  end)

  it('lets write tell that there is no room, within one callback too', function()
    local limit = 4 * megabyte
    local ctx, port, sockets = open_context { max_memory = limit, max_backpressure = 64 * megabyte }
    for _ = 1, 4 do
      client.open(ctx, port, { protocol = 'p', receive_buffer = 65536 })
    end
    local refused = 0
    ctx:batch(function()
      for i = 1, 40 do
        for _, ws in ipairs(sockets) do
          local status, why = ws:write(i .. ('x'):rep(megabyte), BINARY)
          if status ~= 0 and why == 'queue full' then refused = refused + 1 end
        end
      end
    end)
    assert.is_true(refused > 0)
    assert.is_table(ctx and sockets)
  end)

  it('closes who has most of it', function()
    local ctx, port, sockets = open_context { max_memory = 16 * megabyte }
    local ended = {}
    -- Sends as many bytes of a message that never ends.
    local function send(bytes)
      local c = client.open(ctx, port, 'p')
      local number = #sockets
      sockets[number]:on_closed(function(_, code) ended[#ended + 1] = number .. ': ' .. code end)
      c:send(client.frame(client.BINARY, ('x'):rep(bytes), { length = bytes + 1 }))
    end
    send(megabyte)
    send(8 * megabyte)
    while #ended == 0 do
      send(megabyte)
      loop.step(ctx)
      assert.is_true(#sockets < 20)
    end
    assert.same({ '2: 1013' }, ended)
  end)

  it('does not count what leaves at once', function()
    local ctx, port, sockets, closed = open_context { max_memory = megabyte }
    local clients, data = {}, ('x'):rep(32 * kilobyte)
    for i = 1, 64 do
      clients[i] = client.open(ctx, port, 'p')
    end
    ctx:batch(function()
      for _, ws in ipairs(sockets) do
        assert(ws:write(data) == 0)
      end
    end)
    for _, c in ipairs(clients) do
      c:expect_text(data)
    end
    assert.same({}, closed)
  end)

  it('lets on_closed write to a websocket and drop it', function()
    local ctx, port, sockets, closed = open_context { max_memory = megabyte, max_backpressure = 64 * megabyte }
    client.open(ctx, port, { protocol = 'p', receive_buffer = 65536 })
    client.open(ctx, port, 'p')
    sockets[1]:on_closed(function(_, code)
      sockets[2]:write 'the last one'
      sockets[2]:terminate()
      closed[#closed + 1] = code
    end)
    sockets[1]:write(('x'):rep(16 * megabyte))
    ctx:batch(function() end) -- memory is looked after at its end
    assert.same({ '1006:', 1013 }, closed)
    expect_echo(client.open(ctx, port, 'p'))
  end)

  it('counts a broadcast once, whoever it waits for', function()
    local ctx, port, sockets, closed = open_context { max_memory = 20 * megabyte, max_backpressure = 64 * megabyte }
    for _ = 1, 10 do
      client.open(ctx, port, { protocol = 'p', receive_buffer = 65536 })
    end
    for i = 1, 16 do
      ctx:broadcast('p', i .. ('x'):rep(megabyte))
      loop.step(ctx)
    end
    local waiting = 0
    for _, ws in ipairs(sockets) do
      waiting = waiting + ws:buffered_amount()
    end
    assert.is_true(waiting > 20 * megabyte)
    assert.same({}, closed)
  end)

  it('closes whose end gives most of it back, not those who share a broadcast', function()
    local ctx, port, sockets = open_context { max_memory = 32 * megabyte, max_backpressure = 64 * megabyte }
    for _ = 1, 5 do
      client.open(ctx, port, { protocol = 'p', receive_buffer = 65536 })
    end
    local greedy, ended = table.remove(sockets), {}
    greedy:on_closed(function(_, code) ended[#ended + 1] = 'greedy ' .. code end)
    for i, ws in ipairs(sockets) do
      ws:on_closed(function() ended[#ended + 1] = i end)
      ws:subscribe 'topic'
    end
    for _ = 1, 2 do
      ctx:publish('topic', ('x'):rep(12 * megabyte))
    end
    greedy:write(('x'):rep(12 * megabyte))
    loop.step(ctx, 0)
    assert.same({ 'greedy 1013' }, ended)
  end)

  it('is not exceeded by many who send half a body', function()
    local ctx, port = http.word_server { max_memory = 2 * megabyte }
    local request = http.request('/alive', { method = 'POST', body = ('x'):rep(megabyte) })
    local clients, told = {}, 0
    for i = 1, 10 do
      clients[i] = client.connect(ctx, port)
      clients[i]:send(request:sub(1, 600 * kilobyte))
    end
    loop.serve_until(ctx, function()
      for i, c in pairs(clients) do
        if c:pump() then
          assert.equal(503, (c:read_response()))
          clients[i] = nil
          told = told + 1
        end
      end
      return told >= 7
    end, 'refusals')
    http.expect_alive(client.connect(ctx, port))
  end)

  -- Whatever was counted is forgotten in the end: nobody would be left else.
  it('forgets what does not wait any more', function()
    local ctx, port, sockets, closed = open_context({ max_memory = 3 * megabyte, max_body_size = 4 * megabyte,
      max_backpressure = 64 * megabyte }, function(ws)
      ws:on_receive(function(_, data)
        if data == 'off' then ws:rx_flow_control(false) end
      end)
    end)
    local two = ('x'):rep(2 * megabyte)
    local function expect_answer(c)
      c:ping 'x'
      c:expect_frame(client.PONG, 'x')
    end
    for _ = 1, 5 do
      local c = client.open(ctx, port, 'p')
      c:binary(two)
      expect_answer(c)
      c:send(half)
      c:reset()
      c = client.open(ctx, port, 'p')
      c:send(half)
      c:shutdown()
      c:read_all()
      c = client.open(ctx, port, 'p')
      c:send(client.frame(client.TEXT, 'off') .. client.frame(client.BINARY, two:sub(1, megabyte)))
      loop.step(ctx)
      sockets[#sockets]:terminate()
      c:read_all()
      c = client.open(ctx, port, 'p')
      ctx:broadcast('p', two)
      c:expect_text(two)
      sockets[#sockets]:write(two)
      c:expect_text(two)
      c:finish(1000)
      c = client.connect(ctx, port)
      c:send(http.request('/', { method = 'POST', body = two }))
      assert.equal(404, (c:read_response()))
      c:send(http.request('/', { method = 'POST', body = two }):sub(1, megabyte))
      loop.step(ctx)
      c:close()
      loop.step(ctx)
    end
    for _, event in ipairs(closed) do
      assert.not_equal(verdict, event)
    end
  end)

  it('is off unless told', function()
    local ctx, port, _, closed = open_context {}
    for _ = 1, 8 do
      client.open(ctx, port, 'p'):send(half)
    end
    loop.step(ctx)
    assert.same({}, closed)
  end)
end)
