-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local watching = require 'spec.support.watching'
local websockets = require 'websockets'

local function nothing() end

describe('pollfd #pollfd', function()
  leaks.check_each(before_each, after_each)
  before_each(function() loop.use 'one-fd' end)

  it('is a descriptor, always the same', function()
    local ctx = pair.context()
    local fd = ctx:pollfd()
    assert.is_number(fd)
    assert.equal(fd, ctx:pollfd())
    assert.equal(fd, ctx:getfd())
    assert.equal('r', ctx:events())
    assert.is_not_nil(leaks.descriptors()[fd])
  end)

  it('is readable while there is something to serve', function()
    local got = 0
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function() got = got + 1 end)
    end)
    local fd = ctx:pollfd()
    assert.is_false(watching.is_readable(fd))
    local c = client.open(ctx, port, 'p')
    loop.serve_until(ctx, function() return not watching.is_readable(fd) end)
    for i = 1, 3 do
      c:send_some(client.frame(client.TEXT, 'x'))
      assert.is_true(watching.is_readable(fd))
      ctx:service(0)
      assert.is_false(watching.is_readable(fd))
      assert.equal(i, got)
    end
  end)

  it('is readable in a callback while there is something to serve besides', function()
    local got, clients, waited = 0, {}, nil
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function()
        got = got + 1
        if got > 1 then return end
        local fd = ctx:pollfd()
        for _ = 1, 1000 do
          if got == #clients then break end
          assert.is_true(watching.is_readable(fd))
          ctx:service(0)
        end
        waited = true
      end)
    end)
    ctx:pollfd()
    for i = 1, 8 do
      clients[i] = client.open(ctx, port, 'p')
    end
    for _, c in ipairs(clients) do
      c:send_some(client.frame(client.TEXT, 'x'))
    end
    loop.serve_until(ctx, function() return waited end)
    assert.equal(8, got)
  end)

  it('can be served by service_fd, too', function()
    local got
    local c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) got = data end)
    end)
    c:send_some(client.frame(client.TEXT, 'x'))
    assert.equal(0, ctx:service_fd(ctx:pollfd(), 'r'))
    assert.equal('x', got)
  end)

  it('can be asked for at any time', function()
    for _, when in ipairs { 'open', 'receive' } do
      local ctx, port
      local function ask() assert.is_number(ctx:pollfd()) end
      loop.use 'own'
      ctx, port = pair.context(nil, function(ws)
        if when == 'open' then ask() end
        ws:on_receive(function(_, data)
          ask()
          ws:write(data)
        end)
      end)
      local c = client.open(ctx, port, 'p')
      c:text 'one'
      c:expect_text 'one'
      loop.use 'one-fd'
      c:text(('x'):rep(4e6))
      c:expect_text(('x'):rep(4e6))
    end
  end)

  it('goes together with on_add_fd', function()
    local config, watched = watching.config()
    local c, ws = pair.open(config, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local data = ('x'):rep(4e6)
    c:text(data)
    c:expect_text(data)
    assert.is_true(watched.fds[ws:get_socket_fd()])
  end)

  it('has a time by which it is readable', function()
    local ctx, port = pair.context { handshake_timeout = 3600 }
    ctx:pollfd()
    assert.is_nil(ctx:timeout())
    local c = client.connect(ctx, port)
    loop.serve_until(ctx, function() return ctx:timeout() end)
    local seconds = ctx:timeout()
    assert.is_true(seconds > 0 and seconds <= 3601)
    c:handshake { protocol = 'p' }
    ctx:service(0)
    loop.serve_until(ctx, function() return (ctx:timeout() or 0) ~= seconds end)
  end)

  it('is announced instead of all others when one_fd is set', function()
    local config, watched = watching.config { one_fd = true }
    loop.use 'own'
    local c, ws, ctx = pair.open(config, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local fd = ctx:pollfd()
    ws:rx_flow_control(false)
    ws:rx_flow_control(true)
    local data = ('x'):rep(4e6)
    loop.use 'one-fd'
    c:text(data)
    c:expect_text(data)
    c:finish(1000)
    assert.same({ '+' .. fd }, watched.log)
    ctx:destroy()
    assert.same({ '+' .. fd, '-' .. fd }, watched.log)
  end)

  it('is not announced without on_add_fd', function()
    local c = pair.open { one_fd = true }
    c:expect_nothing()
    assert.has_error(function() websockets.context { protocols = { p = nothing }, one_fd = 1 } end)
  end)
end)
