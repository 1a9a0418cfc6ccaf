-- SPDX-License-Identifier: MIT
-- What lets another event loop serve a context. (The adapters for certain loops have files of their own.)
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local websockets = require 'websockets'

local function nothing() end

local function is_readable(fd)
  return socket.select({ { getfd = function() return fd end } }, nil, 0)[1] ~= nil
end

-- Adds functions to a config that record, and check, what is announced. Returns both.
local function watching(config)
  local watched = { log = {}, fds = {} }
  local copy = {}
  for name, value in pairs(config or {}) do
    copy[name] = value
  end
  copy.on_add_fd = function(fd)
    assert.is_nil(watched.fds[fd], 'added twice')
    watched.fds[fd] = true
    watched.log[#watched.log + 1] = '+' .. fd
  end
  copy.on_del_fd = function(fd)
    assert.is_true(watched.fds[fd], 'taken away without having been added')
    watched.fds[fd] = nil
    watched.log[#watched.log + 1] = '-' .. fd
  end
  return copy, watched
end

local function count(set)
  local number = 0
  for _ in pairs(set) do
    number = number + 1
  end
  return number
end

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
    local config, watched = watching { listen = { '127.0.0.1:0', '127.0.0.1:0' }, port = 0 }
    pair.context(config)
    assert.equal(3, count(watched.fds))
  end)

  it('come in the order that the manual tells', function()
    local config, watched = watching()
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
    local config, watched = watching()
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
      local config, watched = watching()
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
      assert.is_true(count(watched.fds) > 2)
      client.close_all()
      if how == 'destroy' then ctx:destroy() end
      ctx = nil
      leaks.collect()
      if how == 'destroy' then assert.same({}, watched.fds) end
    end
  end)

  it('are balanced when there is no context', function()
    local _, port = pair.context()
    local config, watched = watching { protocols = { p = nothing }, port = port }
    assert.has_error(function() websockets.context(config) end)
    assert.is_true(#watched.log > 0)
    assert.same({}, watched.fds)
  end)

  it('tell that reading is switched off, and on', function()
    local config, watched = watching()
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
      local config, watched = watching()
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
    local config, watched = watching()
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
    assert.is_true(count(numbers) < 5) -- else nothing was tried
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
    assert.is_false(is_readable(fd))
    local c = client.open(ctx, port, 'p')
    loop.serve_until(ctx, function() return not is_readable(fd) end)
    for i = 1, 3 do
      c:send_some(client.frame(client.TEXT, 'x'))
      assert.is_true(is_readable(fd))
      ctx:service(0)
      assert.is_false(is_readable(fd))
      assert.equal(i, got)
    end
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
    local config, watched = watching()
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
    local config, watched = watching { one_fd = true }
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

-- Nothing but what becomes readable is served, and nothing else goes on.
for _, mode in ipairs { 'per-fd', 'one-fd' } do
  describe('a loop that watches for reading only, ' .. mode .. ' #pollfd', function()
    leaks.check_each(before_each, after_each)
    before_each(function() loop.use(mode) end)

    it('sends everything to a slow reader, and then drops one that does not answer', function()
      local data = ('0123456789abcdef'):rep(2 ^ 22) -- 64 MiB
      local closed
      local c, ws, ctx = pair.open({ max_backpressure = 2 * #data, close_timeout = 0.2 }, function(ws)
        ws:on_closed(function(_, code) closed = code end)
      end)
      local fd = ws:get_socket_fd()
      assert.equal(0, ws:write(data))
      ws:close(1000)
      assert.equal(1000, closed)
      c:expect_text(data)
      c:expect_close(1000)
      c:expect_loss()
      assert.equal(0, ctx:service_fd(fd, 'r'))
    end)

    it('lets timers fire', function()
      local ctx, port = pair.context { handshake_timeout = 0.05 }
      local c, d = client.connect(ctx, port), client.connect(ctx, port)
      c:expect_end()
      d:expect_end()
    end)

    it('serves input that was held back', function()
      local got = 0
      local c, ws, ctx = pair.open(nil, function(ws)
        ws:on_receive(function()
          got = got + 1
          ws:rx_flow_control(false)
        end)
      end)
      c:send(client.frame(client.TEXT, '1') .. client.frame(client.TEXT, '2') .. client.frame(client.TEXT, '3'))
      for i = 1, 3 do
        loop.serve_until(ctx, function() return got == i end)
        ws:rx_flow_control(true)
      end
    end)

    it('sends what is written outside of it', function()
      local c, ws = pair.open()
      ws:write 'at once'
      assert.is_true(c:pump())
      c:expect_text 'at once'
    end)
  end)
end

describe('batch', function()
  leaks.check_each(before_each, after_each)
  before_each(function() loop.use(os.getenv 'SPEC_LOOP' or 'own') end)

  it('keeps what is written until its end', function()
    local c, ws, ctx = pair.open()
    local result = { ctx:batch(function(...)
      assert.equal(0, select('#', ...))
      for i = 1, 100 do
        assert.equal(0, ws:write(i .. ''))
      end
      assert.is_false(c:pump())
      return 'ignored'
    end) }
    assert.same({}, result)
    assert.is_true(c:pump())
    for i = 1, 100 do
      c:expect_text(i .. '')
    end
  end)

  it('ends with the outermost one', function()
    local c, ws, ctx = pair.open()
    ctx:batch(function()
      ctx:batch(function() ws:write 'one' end)
      assert.is_false(c:pump())
    end)
    assert.is_true(c:pump())
  end)

  it('lets errors out, after what was written', function()
    local c, ws, ctx = pair.open()
    local thrown = {}
    local ok, err = pcall(ctx.batch, ctx, function()
      ws:write 'before'
      error(thrown)
    end)
    assert.is_false(ok)
    assert.equal(thrown, err)
    assert.is_true(c:pump())
    c:expect_text 'before'
  end)

  it('may destroy the context', function()
    local c, ws, ctx = pair.open()
    ctx:batch(function()
      ws:write 'last'
      ctx:destroy()
    end)
    c:expect_text 'last'
    c:expect_close(1001)
  end)

  it('takes a function', function()
    local ctx = pair.context()
    for _, value in ipairs { 'x', 1, true, {} } do
      assert.has_error(function() ctx:batch(value) end)
    end
    assert.has_error(function() ctx:batch() end)
  end)
end)
