-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local watching = require 'spec.support.watching'
local websockets = require 'websockets'

local function nothing() end

describe('on_add_fd and on_del_fd #pollfd', function()
  leaks.check_each(before_each, after_each)
  before_each(function() loop.use 'per-fd' end)

  it('tell of the listener and of an internal descriptor within context()', function()
    local returned = false
    local early = 0
    local ctx
    ctx = pair.context { on_add_fd = function() early = early + (returned and 0 or 1) end, on_del_fd = nothing }
    returned = true
    assert.equal(2, early)
    loop.step(ctx)
    assert.equal(2, early)
  end)

  it('tell of each listener', function()
    local config, watched = watching.config { listen = { '127.0.0.1:0', '127.0.0.1:0' }, port = 0 }
    pair.context(config)
    assert.equal(3, watching.count(watched.fds))
  end)

  it('come in the order that the manual tells', function()
    local config, watched = watching.config()
    local c, ws, ctx = pair.open(config, function(ws)
      watched.log[#watched.log + 1] = 'open ' .. ws:get_socket_fd()
      ws:on_receive(function(_, data) watched.log[#watched.log + 1] = data end)
      ws:on_closed(function() watched.log[#watched.log + 1] = 'closed' end)
    end)
    local fd = ws:get_socket_fd()
    c:text 'text'
    c:finish(1000)
    loop.step(ctx)
    local log = watched.log
    assert.same({ '+' .. fd, 'open ' .. fd, 'text', '-' .. fd, 'closed' }, { log[3], log[4], log[5], log[6], log[7] })
    assert.is_nil(log[8])
  end)

  it('keep a descriptor that was closed here until it has wound up', function()
    local config, watched = watching.config()
    local c, ws, ctx = pair.open(config, function(ws)
      ws:on_closed(function() watched.log[#watched.log + 1] = 'closed' end)
    end)
    local fd = ws:get_socket_fd()
    ws:close(1000)
    assert.equal('closed', watched.log[#watched.log])
    assert.is_true(watched.fds[fd])
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
    loop.step(ctx)
    assert.is_nil(watched.fds[fd])
  end)

  it('are balanced when everything has ended', function()
    for _, how in ipairs { 'destroy', 'collect' } do
      local config, watched = watching.config()
      local reading = false
      local ctx, port = pair.context(config, function(ws)
        reading = not reading
        ws:rx_flow_control(reading)
      end)
      for i = 1, 20 do
        local c = client.open(ctx, port, 'p')
        if i % 3 == 0 then c:reset() elseif i % 3 == 1 then c:close() end
      end
      loop.step(ctx)
      assert.is_true(watching.count(watched.fds) > 2)
      client.close_all()
      if how == 'destroy' then ctx:destroy() end
      ctx = nil
      leaks.collect()
      if how == 'destroy' then assert.same({}, watched.fds) end
    end
  end)

  it('are balanced when there is no context', function()
    local _, port = pair.context()
    local config, watched = watching.config { protocols = { p = nothing }, port = port }
    assert.has_error(function() websockets.context(config) end)
    assert.is_true(#watched.log > 0)
    assert.same({}, watched.fds)
  end)

  it('tell that reading is switched off, and on', function()
    local config, watched = watching.config()
    local c, ws, ctx = pair.open(config)
    local fd = ws:get_socket_fd()
    for _ = 1, 3 do
      ws:rx_flow_control(false)
      loop.step(ctx)
      assert.is_nil(watched.fds[fd])
      ws:rx_flow_control(true)
      loop.step(ctx)
      assert.is_true(watched.fds[fd])
    end
    c:expect_nothing()
  end)

  it('may be one without the other', function()
    loop.use 'own'
    for _, name in ipairs { 'on_add_fd', 'on_del_fd' } do
      local called = 0
      local c, ws = pair.open { [name] = function() called = called + 1 end }
      ws:write 'x'
      c:expect_text 'x'
      c:finish(1000)
      assert.equal(name == 'on_add_fd' and 3 or 0, called)
    end
  end)

  it('must be functions', function()
    for _, name in ipairs { 'on_add_fd', 'on_del_fd' } do
      for _, value in ipairs { 1, 'x', true, {} } do
        local ok, message = pcall(websockets.context, { protocols = { p = nothing }, [name] = value })
        assert.is_false(ok)
        assert.matches(name, message, 1, true)
      end
    end
  end)

  it('may raise errors: on_error is told, and the context goes on', function()
    for _, name in ipairs { 'on_add_fd', 'on_del_fd' } do
      local told = {}
      local c, ws = pair.open {
        [name] = function(fd) error('oops ' .. fd) end,
        on_error = function(message, of) told[#told + 1] = { message, of } end,
      }
      local fd = ws:get_socket_fd()
      ws:write 'x'
      c:expect_text 'x'
      c:finish(1000)
      assert.matches('oops ' .. fd, told[#told][1], 1, true)
      assert.is_nil(told[#told][2])
    end
  end)

  it('may destroy the context', function()
    for _, name in ipairs { 'on_add_fd', 'on_del_fd' } do
      local config, watched = watching.config()
      local inner = config[name]
      local ctx, port, made
      local callbacks = 0
      config[name] = function(fd)
        inner(fd)
        if made then ctx:destroy() end
      end
      ctx, port = pair.context(config, function(ws)
        callbacks = callbacks + 1
        ws:on_closed(function() callbacks = callbacks - 1 end)
      end)
      made = true
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      loop.serve_until(ctx, function() return #watched.log > 2 end)
      if name == 'on_del_fd' then
        c:read_head()
        c:finish(1000)
      else
        c:read_all()
      end
      assert.is_true(loop.is_destroyed(ctx))
      assert.same({}, watched.fds)
      assert.equal(0, callbacks)
    end
  end)

  it('may destroy the context while a connection ends before its output has left', function()
    local told = {}
    local ctx, ending
    local c, ws
    c, ws, ctx = pair.open({
      on_add_fd = nothing,
      on_del_fd = function()
        if not ending then return end
        ending = false
        ctx:destroy()
        told[#told + 1] = 'destroyed'
      end,
    }, function(ws)
      ws:on_closed(function(_, code) told[#told + 1] = code end)
    end)
    ctx:batch(function()
      ws:write 'is never sent'
      ending = true
      ws:terminate()
    end)
    assert.same({ 'destroyed', 1006 }, told)
    c:expect_end()
  end)

  -- A file that was sent makes its connection readable again.
  for _, what in ipairs { 'nothing', 'write', 'destroy', 'service_fd', 'terminate' } do
    it('may come while several connections are sent something, and then: ' .. what, function()
      local opened, clients, answering, watched_fd, action = {}, {}, nil, nil, nil
      local ctx, port = loop.context {
        protocols = { p = function(ws) opened[#opened + 1] = ws end },
        on_http = function(ws)
          answering = ws
          ws:defer()
        end,
        on_add_fd = function(fd)
          if fd ~= watched_fd or not action then return end
          local act = action
          action = nil
          act()
        end,
        on_del_fd = function() end,
      }
      for i = 1, 6 do
        clients[i] = client.open(ctx, port, 'p')
      end
      client.connect(ctx, port):send 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
      loop.serve_until(ctx, function() return answering end)
      watched_fd = answering:get_socket_fd()
      local large = ('x'):rep(300000)
      local actions = {
        nothing = function() end,
        write = function() opened[3]:write(large) end,
        destroy = function() ctx:destroy() end,
        service_fd = function() ctx:service_fd(opened[3]:get_socket_fd(), 1) end,
        terminate = function() opened[3]:terminate() end,
      }
      action = actions[what]
      if what == 'service_fd' then clients[3]:send_some(client.frame(client.TEXT, 'x')) end
      ctx:batch(function()
        answering:serve_http_file('LICENSE', 'text/plain') -- small: it leaves at once
        for i, ws in ipairs(opened) do
          ws:write('hello ' .. i)
        end
      end)
      assert.is_nil(action)
      for i, c in ipairs(clients) do
        local was_ended = what == 'terminate' and i == 3
        if not was_ended then c:expect_text('hello ' .. i) end
        if what == 'write' and i == 3 then c:expect_text(large) end
        if what == 'destroy' then c:expect_close(1001) end
      end
    end)
  end

  it('may close connections and write to them', function()
    local sockets = {}
    local active = false
    local ctx, port = pair.context({
      on_add_fd = function()
        for _, ws in ipairs(active and sockets or {}) do
          ws:write 'one more'
        end
      end,
      on_del_fd = function()
        for _, ws in ipairs(active and sockets or {}) do
          ws:close(1000)
        end
      end,
    }, function(ws) sockets[#sockets + 1] = ws end)
    local c, d = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
    active = true
    local e = client.connect(ctx, port)
    c:expect_text 'one more'
    e:close()
    c:expect_close(1000)
    d:expect_text 'one more'
    d:expect_close(1000)
  end)
end)
