-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local websockets = require 'websockets'

describe('broadcast', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  -- A context with the protocols p and q, the p ones with setup(ws), and `count` clients of p.
  local function open(count, setup)
    local sockets, clients = {}, {}
    local ctx, port = loop.context { protocols = {
      p = function(ws)
        sockets[#sockets + 1] = ws
        if setup then setup(ws, #sockets) end
      end,
      q = function() end,
    } }
    for i = 1, count do
      clients[i] = client.open(ctx, port, 'p')
    end
    return ctx, clients, sockets, port
  end

  it('reaches every websocket of the protocol, and no other', function()
    local ctx, clients, _, port = open(3)
    local other = client.open(ctx, port, 'q')
    assert.equal(0, ctx:broadcast('p', 'hello'))
    for _, c in ipairs(clients) do
      c:expect_text 'hello'
      c:expect_nothing()
    end
    other:expect_nothing()
  end)

  it('from a websocket reaches itself too', function()
    local ctx, clients, sockets, port = open(3)
    local other = client.open(ctx, port, 'q')
    assert.equal(0, sockets[2]:broadcast 'hello')
    for _, c in ipairs(clients) do
      c:expect_text 'hello'
      c:expect_nothing()
    end
    other:expect_nothing()
  end)

  it('works without any websocket', function()
    local ctx = open(0)
    assert.equal(0, ctx:broadcast('p', 'hello'))
  end)

  it('takes numbers and empty data', function()
    local ctx, clients, sockets = open(1)
    ctx:broadcast('p', 12)
    ctx:broadcast('p', '')
    sockets[1]:broadcast(34)
    clients[1]:expect_text '12'
    clients[1]:expect_text ''
    clients[1]:expect_text '34'
  end)

  it('has a mode per websocket', function()
    local seen = {}
    local ctx, clients = open(4, function(ws, number)
      if number == 1 then ws:on_broadcast(websockets.WRITE_BINARY) end
      if number == 2 then ws:on_broadcast(websockets.WRITE_TEXT) end
      if number == 3 then
        ws:on_broadcast(function(self, data)
          assert(self == ws)
          seen[#seen + 1] = data
          ws:write('got ' .. data)
        end)
      end
    end)
    ctx:broadcast('p', 'x')
    assert.same({ 'x' }, seen) -- synchronously
    clients[1]:expect_binary 'x'
    clients[2]:expect_text 'x'
    clients[3]:expect_text 'got x'
    clients[4]:expect_text 'x'
  end)

  it('has a mode that can be changed', function()
    local ctx, clients, sockets = open(1)
    local ws, c = sockets[1], clients[1]
    ws:on_broadcast(function() ws:write 'one' end)
    ctx:broadcast('p', 'x')
    c:expect_text 'one'
    ws:on_broadcast(function() ws:write 'two' end)
    ctx:broadcast('p', 'x')
    c:expect_text 'two'
    ws:on_broadcast(websockets.WRITE_BINARY)
    ctx:broadcast('p', 'x')
    c:expect_binary 'x'
    ws:on_broadcast(function() ws:write 'three' end)
    ctx:broadcast('p', 'x')
    c:expect_text 'three'
    ws:on_broadcast(websockets.WRITE_TEXT)
    ctx:broadcast('p', 'x')
    c:expect_text 'x'
    c:expect_nothing()
  end)

  it('refuses other modes', function()
    local _, _, sockets = open(1)
    for _, value in ipairs { 2, -1, 0.5, 64, 65, 'x', true, {} } do
      assert.error_matches(function() sockets[1]:on_broadcast(value) end,
        'websocket on_broadcast value not supported')
    end
    assert.error_matches(function() sockets[1]:on_broadcast(nil) end,
      'websocket on_broadcast value not supported')
    assert.error_matches(function() sockets[1]:on_broadcast() end,
      'websocket on_broadcast value not supported')
  end)

  it('refuses a protocol that there is not', function()
    local ctx = open(0)
    for _, name in ipairs { 'r', '', 'P', 'p\0' } do
      assert.error_matches(function() ctx:broadcast(name, 'x') end, "websocket unknown protocol '" .. name:match '^%Z*' .. "'")
    end
  end)

  it('refuses other arguments', function()
    local ctx, _, sockets = open(1)
    assert.has_error(function() ctx:broadcast() end)
    assert.has_error(function() ctx:broadcast('p') end)
    assert.has_error(function() ctx:broadcast('p', {}) end)
    assert.has_error(function() ctx:broadcast({}, 'x') end)
    assert.has_error(function() sockets[1]:broadcast() end)
    assert.has_error(function() sockets[1]:broadcast({}) end)
  end)

  it('passes over what is closed', function()
    local ctx, clients, sockets = open(3)
    sockets[2]:close(1000)
    ctx:broadcast('p', 'x')
    clients[1]:expect_text 'x'
    clients[2]:expect_close(1000)
    clients[2]:send_close(1000)
    clients[2]:expect_end()
    clients[3]:expect_text 'x'
    local result, why = sockets[2]:broadcast 'x'
    assert.equal(-1, result)
    assert.equal('closed', why)
  end)

  it('is not disturbed by websockets that callbacks close', function()
    for closer = 1, 3 do
      local received = {}
      local ctx, clients, sockets = open(3)
      for number, ws in ipairs(sockets) do
        ws:on_broadcast(function()
          received[#received + 1] = number
          if number == closer then
            for other = 1, 3 do
              if other ~= 2 then sockets[other]:close(1000) end
            end
            sockets[2]:terminate()
          end
        end)
      end
      ctx:broadcast('p', 'x')
      local expected = {}
      for number = 1, closer do
        expected[number] = number
      end
      assert.same(expected, received)
      clients[1]:expect_close(1000)
      clients[2]:expect_loss()
      clients[3]:expect_close(1000)
      ctx:broadcast('p', 'x')
    end
  end)

  it('is not disturbed by websockets that open meanwhile', function()
    local received, opened = {}, nil
    local ctx, clients, sockets, port = open(2, function(ws, number)
      ws:on_broadcast(function() received[#received + 1] = number end)
    end)
    sockets[1]:on_broadcast(function()
      received[#received + 1] = 1
      opened = opened or client.open(ctx, port, 'p')
    end)
    ctx:broadcast('p', 'x')
    assert.same({ 1, 2 }, received)
    ctx:broadcast('p', 'x')
    assert.same({ 1, 2, 1, 2, 3 }, received)
    opened:expect_nothing()
    clients[1]:expect_nothing()
  end)

  it('is not disturbed by what a callback broadcasts', function()
    local ctx, clients, sockets = open(3)
    local depth = 0
    sockets[2]:on_broadcast(function(ws, data)
      depth = depth + 1
      if depth < 3 then ws:broadcast(data .. depth) end
      ws:write('own ' .. data)
    end)
    ctx:broadcast('p', 'x')
    for _, number in ipairs { 1, 3 } do
      local c = clients[number]
      local got = { c:expect_text(), c:expect_text(), c:expect_text() }
      table.sort(got)
      assert.same({ 'x', 'x1', 'x12' }, got)
    end
    clients[2]:expect_text 'own x12'
    clients[2]:expect_text 'own x1'
    clients[2]:expect_text 'own x'
  end)

  it('ends when a callback destroys the context', function()
    local received = {}
    local ctx, clients, sockets = open(3)
    for number, ws in ipairs(sockets) do
      ws:on_broadcast(function()
        received[#received + 1] = number
        if number == 2 then ctx:destroy() end
      end)
    end
    assert.equal(0, ctx:broadcast('p', 'x'))
    assert.same({ 1, 2 }, received)
    for _, c in ipairs(clients) do
      c:expect_close(1001)
    end
  end)

  it('from on_receive answers everybody', function()
    local _, clients = open(3, function(ws)
      ws:on_receive(function(_, data) ws:broadcast(data) end)
    end)
    clients[3]:text 'hello'
    clients[1]:text 'world'
    for _, c in ipairs(clients) do
      local got = { c:expect_text(), c:expect_text() }
      table.sort(got)
      assert.same({ 'hello', 'world' }, got)
    end
  end)

  it('of large data is shared by slow readers', function()
    local data = ('x'):rep(6e6)
    local ctx, clients = open(4)
    ctx:broadcast('p', data)
    ctx:broadcast('p', 'end')
    for _, c in ipairs(clients) do
      c:expect_text(data)
      c:expect_text 'end'
    end
  end)

  -- Fills the queue of the second of three clients, which does not read, and broadcasts once more.
  local function overflow(policy)
    local closed, sockets = {}, {}
    local ctx, port = loop.context { max_backpressure = 50000, backpressure_policy = policy, protocols = {
      p = function(ws)
        local number = #sockets + 1
        sockets[number] = ws
        ws:on_closed(function(_, code) closed[number] = code end)
      end,
    } }
    local clients = {}
    for i = 1, 3 do
      clients[i] = client.open(ctx, port, 'p')
    end
    local written = 0
    while sockets[2]:write(('x'):rep(10000)) == 0 do
      written = written + 1
    end
    local data = ('y'):rep(10000)
    assert.equal(0, ctx:broadcast('p', data))
    assert.same({}, closed) -- never inside broadcast
    for _, number in ipairs { 1, 3 } do
      clients[number]:expect_text(data)
      clients[number]:expect_nothing()
    end
    for _ = 1, written do
      clients[2]:expect_text()
    end
    return clients[2], closed, ctx
  end

  it('closes a websocket whose queue is full, and reaches the others', function()
    for _, policy in ipairs { false, 'close' } do
      local c, closed, ctx = overflow(policy or nil)
      c:expect_close(1013)
      loop.serve_until(ctx, function() return closed[2] end)
      assert.same({ [2] = 1013 }, closed)
    end
  end)

  it('leaves out a websocket whose queue is full, and reaches the others, when it shall', function()
    local c, closed, ctx = overflow 'drop'
    c:expect_nothing()
    ctx:broadcast('p', 'later')
    c:expect_text 'later'
    assert.same({}, closed)
  end)

  it('survives clients that are gone', function()
    local closed = {}
    local ctx, clients = open(3, function(ws, number)
      ws:on_closed(function(_, code) closed[number] = code end)
    end)
    clients[2]:reset()
    for _ = 1, 10 do
      ctx:broadcast('p', 'x')
    end
    assert.same({}, closed) -- never inside broadcast
    loop.serve_until(ctx, function() return closed[2] end)
    assert.same({ [2] = 1006 }, closed)
    for _ = 1, 10 do
      clients[1]:expect_text 'x'
      clients[3]:expect_text 'x'
    end
  end)
end)
