-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'

describe('destroy', function()
  leaks.check_each(before_each, after_each)

  it('says 1001 to every websocket, after what is queued', function()
    local closed, sockets, clients = {}, {}, {}
    local ctx, port = pair.context(nil, function(ws)
      local number = #sockets + 1
      sockets[number] = ws
      ws:on_closed(function(self, code, reason)
        assert(self == ws)
        closed[number] = code .. ':' .. reason
      end)
    end)
    for i = 1, 3 do
      clients[i] = client.open(ctx, port, 'p')
    end
    sockets[1]:write 'last words'
    assert.equal(0, select('#', ctx:destroy()))
    assert.same({ '1001:', '1001:', '1001:' }, closed)
    clients[1]:expect_text 'last words'
    for _, c in ipairs(clients) do
      c:expect_close(1001)
      c:expect_end()
    end
  end)

  it('sends what is queued although it takes several turns', function()
    local c, ws, ctx = pair.open()
    local data = ('x'):rep(600000)
    assert.equal(0, ws:write(data))
    ctx:destroy()
    c:expect_text(data)
    c:expect_close(1001)
    c:expect_end()
  end)

  it('closes all descriptors', function()
    local before = leaks.descriptors()
    local ctx, port = pair.context()
    local c, d = client.open(ctx, port, 'p'), client.connect(ctx, port)
    d:send 'GET / HT'
    loop.step(ctx, 1)
    local own = { [c.sock:getfd()] = true, [d.sock:getfd()] = true }
    ctx:destroy()
    for fd in pairs(leaks.descriptors()) do
      assert.is_true(before[fd] ~= nil or own[fd] == true, 'descriptor ' .. fd)
    end
  end)

  it('frees the port', function()
    local ctx, port = pair.context()
    ctx:destroy()
    local sock = socket.tcp()
    assert.is_nil(sock:connect('127.0.0.1', port))
    sock:close()
  end)

  it('is harmless the second time', function()
    local _, _, ctx = pair.open()
    ctx:destroy()
    ctx:destroy()
    assert.equal(0, select('#', ctx:destroy()))
  end)

  it('leaves a context whose other methods say so', function()
    local ctx = pair.context()
    ctx:destroy()
    local calls = {
      service = {}, broadcast = { 'p', 'x' }, canonical_hostname = {},
    }
    for name, arguments in pairs(calls) do
      local ok, message = pcall(ctx[name], ctx, arguments[1], arguments[2])
      assert.is_false(ok)
      assert.is_truthy(message:find('websocket context destroyed', 1, true), name .. ': ' .. message)
    end
    assert.has_error(function() ctx:service(0) end)
    assert.matches('^context: 0x%x+.*destroyed', tostring(ctx))
  end)

  it('has ended the context when on_closed is called, which a shutdown has not', function()
    local function outcome_of(method)
      local outcome
      local _, ws, ctx = pair.open()
      ws:on_closed(function() outcome = { pcall(ctx.publish, ctx, 'news', 'somebody has left') } end)
      ctx[method](ctx)
      return outcome
    end
    assert.same({ false, 'websocket context destroyed' }, outcome_of 'destroy')
    assert.same({ true, 0, 0 }, outcome_of 'shutdown')
  end)

  it('works inside a nested call of service', function()
    local ctx, port
    local closed = 0
    ctx, port = pair.context(nil, function(ws)
      ws:on_closed(function() closed = closed + 1 end)
      ws:on_receive(function(_, data)
        if data == 'inner' then return ctx:destroy() end
        client.open(ctx, port, 'p'):text 'inner'
        loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end)
        assert(ws:write 'x' == -1)
      end)
    end)
    local c, d = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
    c:send(client.frame(client.TEXT, 'outer') .. client.frame(client.TEXT, 'never'))
    loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end)
    d:expect_close(1001)
    assert.equal(3, closed)
  end)

  it('works while connections are in every state', function()
    local closed = {}
    local ctx, port
    ctx, port = pair.context({ max_backpressure = 1e9, on_http = function(ws) ws:defer() end }, function(ws)
      ws:on_closed(function(_, code) closed[#closed + 1] = code end)
      ws:on_receive(function(_, data)
        if data == 'close' then ws:close(1000) end
        if data == 'flood' then ws:write(('x'):rep(16e6)) end
        if data == 'stop' then ws:rx_flow_control(false) end
        if data == 'fragment' then
          ws:write('x', 64)
          ctx:broadcast('p', 'held')
        end
      end)
    end)
    local silent = client.connect(ctx, port)
    local half = client.connect(ctx, port)
    half:send 'GET / HTTP/1.1\r\n'
    local waiting = client.connect(ctx, port)
    waiting:send 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    for _, message in ipairs { 'close', 'flood', 'stop', 'fragment', 'idle' } do
      client.open(ctx, port, 'p'):text(message)
    end
    for _ = 1, 5 do
      loop.step(ctx, 1)
    end
    ctx:destroy()
    table.sort(closed)
    assert.same({ 1000, 1001, 1001, 1001, 1001 }, closed)
    silent:expect_loss()
    half:read_all()
    waiting:read_all()
  end)

  it('works in on_closed of another context', function()
    local one, one_port, two, two_port
    local closed = {}
    one, one_port = pair.context(nil, function(ws)
      ws:on_closed(function(_, code)
        closed[#closed + 1] = 'one ' .. code
        two:destroy()
      end)
    end)
    two, two_port = pair.context(nil, function(ws)
      ws:on_closed(function(_, code)
        closed[#closed + 1] = 'two ' .. code
        one:destroy()
      end)
    end)
    local both = { one, two }
    local c, d = client.open(both, one_port, 'p'), client.open(both, two_port, 'p')
    one:destroy()
    assert.same({ 'one 1001', 'two 1001' }, closed)
    c:expect_close(1001)
    d:expect_close(1001)
  end)

  it('works before the first call of service', function()
    local ctx, port = pair.context()
    local c = client.connect(ctx, port)
    ctx:destroy()
    c:expect_loss()
  end)

  local has_close = load and pcall(load, '') and load 'local x <close> = nil'
  if has_close then
    it('is what a to-be-closed variable does', function()
      local ctx = load [[
        local pair = ...
        local kept
        do
          local ctx <close> = pair.context()
          kept = ctx
        end
        return kept
      ]](pair)
      assert.is_true(loop.is_destroyed(ctx))
    end)
  end
end)
