-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local watching = require 'spec.support.watching'
local websockets = require 'websockets'

local function nothing() end

describe('service_fd #pollfd', function()
  leaks.check_each(before_each, after_each)
  before_each(function() loop.use 'per-fd' end)

  local revents = {
    websockets.POLLIN, websockets.POLLOUT, websockets.POLLERR, websockets.POLLHUP, websockets.POLLIN + websockets.POLLHUP,
    0, 1, 2, 3, 1.0, 2.0, 65535, 'r', 'w', 'rw',
  }

  it('takes the events of every loop', function()
    local got = 0
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive(function() got = got + 1 end)
    end)
    local fd = ws:get_socket_fd()
    for i, revent in ipairs(revents) do
      assert.equal(#'x' + 6, c:send_some(client.frame(client.TEXT, 'x')))
      assert.equal(0, ctx:service_fd(fd, revent))
      assert.equal(i, got)
    end
    c:send_some(client.frame(client.TEXT, 'x'))
    assert.equal(0, ctx:service_fd(fd + 0.0, 'r', 0, 'w', 1.0))
    assert.equal(#revents + 1, got)
    assert.equal(1, select('#', ctx:service_fd(fd, 'r')))
  end)

  it('wants at least one event', function()
    local _, ws, ctx = pair.open()
    local fd = ws:get_socket_fd()
    local ok, message = pcall(function() ctx:service_fd(fd) end)
    assert.is_false(ok)
    assert.matches('bad argument #2', message, 1, true)
    assert.has_error(function() ctx:service_fd() end)
    assert.has_error(function() ws:service() end)
  end)

  it('refuses what is no event', function()
    local _, ws, ctx = pair.open()
    local fd = ws:get_socket_fd()
    for _, value in ipairs { 'x', '', 'wr', '1', 'r\0', -1, 1.5, 0 / 0, true, {}, print } do
      assert.has_error(function() ctx:service_fd(fd, value) end)
      assert.has_error(function() ctx:service_fd(fd, 'r', value) end)
      assert.has_error(function() ws:service(value) end)
    end
    assert.has_error(function() ctx:service_fd(fd, nil) end)
    assert.has_error(function() ctx:service_fd(fd, 'r', nil) end)
  end)

  it('refuses what is no descriptor', function()
    local ctx = pair.context()
    for _, value in ipairs { 'x', true, {}, 1.5, 0 / 0 } do
      assert.has_error(function() ctx:service_fd(value, 'r') end)
    end
    assert.has_error(function() ctx:service_fd(nil, 'r') end)
  end)

  it('does nothing for descriptors of others', function()
    local ctx = pair.context()
    for _, fd in ipairs { -1, 0, 1, 2, 1000, 1e6, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 53, -2 ^ 40, math.huge, -math.huge } do
      assert.equal(0, ctx:service_fd(fd, 'rw'))
    end
  end)

  -- Any of these would wait without end if it waited at all.
  it('never waits, whatever it is told', function()
    local config, watched = watching.config()
    local c, ws, ctx = pair.open(config)
    ws:write(('x'):rep(4e6)) -- more than the system takes at once
    for fd in pairs(watched.fds) do
      for _, revent in ipairs(revents) do
        assert.equal(0, ctx:service_fd(fd, revent))
      end
    end
    for _, revent in ipairs(revents) do
      assert.equal(0, ws:service(revent))
    end
    c:expect_text(('x'):rep(4e6))
  end)

  it('returns 1 when the connection was closed', function()
    local enders = {
      finish = function(c) c:send_some(client.frame(client.CLOSE, client.close_body(1000))) end,
      close = function(c) c:close() end,
      reset = function(c) c:reset() end,
      broken = function(c) c:send_some(client.frame(client.TEXT, 'x', { rsv = 7 })) end,
    }
    for name, finish in pairs(enders) do
      local closed
      local c, ws, ctx = pair.open(nil, function(ws)
        ws:on_closed(function() closed = true end)
      end)
      local fd = ws:get_socket_fd()
      finish(c)
      if name == 'broken' then -- the server waits for the peer's end
        assert.equal(0, ctx:service_fd(fd, 'r'))
        c.ctx = {}
        c:read_all()
        c:close()
      end
      assert.equal(1, ctx:service_fd(fd, 'r'), name)
      assert.is_true(closed, name)
      assert.equal(0, ctx:service_fd(fd, 'r'), name)
    end
  end)

  it('delivers what was sent before a hang-up', function()
    for _, revent in ipairs { websockets.POLLHUP, websockets.POLLERR, websockets.POLLIN + websockets.POLLHUP } do
      local log = {}
      local c, ws, ctx = pair.open(nil, function(ws)
        ws:on_receive(function(_, data) log[#log + 1] = data end)
        ws:on_closed(function(_, code) log[#log + 1] = code end)
      end)
      c:send_some(client.frame(client.TEXT, 'one') .. client.frame(client.TEXT, 'two'))
      c:close()
      local fd = ws:get_socket_fd()
      loop.serve_until({}, function() return ctx:service_fd(fd, revent) == 1 end)
      assert.same({ 'one', 'two', 1006 }, log)
    end
  end)

  it('takes no event of a descriptor for one that has its number now', function()
    local sockets = {}
    local ctx, port = pair.context(nil, function(ws) sockets[#sockets + 1] = ws end)
    local numbers = {}
    for i = 1, 5 do
      local c = client.open(ctx, port, 'p')
      local ws = sockets[i]
      local fd = ws:get_socket_fd()
      numbers[fd] = true
      for _, revent in ipairs { websockets.POLLHUP, websockets.POLLERR, 'rw' } do
        assert.equal(0, ctx:service_fd(fd, revent))
      end
      c:expect_nothing()
      c:finish(1000)
      loop.serve_until(ctx, function() return ws:get_socket_fd() == -1 end)
      ctx:service_fd(fd, 'r')
    end
    assert.is_true(watching.count(numbers) < 5) -- else nothing was tried
  end)

  it('can be called in a callback', function()
    local log = {}
    local sockets = {}
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      sockets[#sockets + 1] = ws
      ws:on_receive(function(_, data)
        log[#log + 1] = 'begin ' .. data
        for _, other in ipairs(sockets) do
          ctx:service_fd(other:get_socket_fd(), 'r')
        end
        log[#log + 1] = 'end ' .. data
      end)
    end)
    local c, d = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
    c:send_some(client.frame(client.TEXT, 'c'))
    d:send_some(client.frame(client.TEXT, 'd'))
    assert.equal(0, ctx:service_fd(sockets[1]:get_socket_fd(), 'r'))
    assert.same({ 'begin c', 'begin d', 'end d', 'end c' }, log)
  end)

  it('is what ws:service calls with the own descriptor', function()
    local got
    local c, ws = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) got = data end)
    end)
    c:send_some(client.frame(client.TEXT, 'x'))
    assert.equal(0, ws:service 'r')
    assert.equal('x', got)
    c:close()
    assert.equal(1, ws:service(websockets.POLLHUP))
    assert.equal(0, ws:service 'r')
  end)

  it('raises an error once the context was destroyed', function()
    local ctx = pair.context()
    ctx:destroy()
    for _, name in ipairs { 'service_fd', 'pollfd', 'getfd', 'events', 'timeout', 'batch' } do
      assert.has_error(function() ctx[name](ctx, name == 'batch' and nothing or 1, 'r') end, 'websocket context destroyed')
    end
  end)

  it('goes together with service', function()
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local data = ('x'):rep(4e6)
    for i = 1, 4 do
      loop.use(i % 2 == 0 and 'per-fd' or 'own')
      c:text(data)
      c:expect_text(data)
      ws:rx_flow_control(false)
      ws:rx_flow_control(true)
    end
    loop.use 'own'
    c:send_close(1000)
    while ws:get_socket_fd() ~= -1 do
      ctx:service(-1)
    end
    c:expect_close(1000)
  end)
end)
