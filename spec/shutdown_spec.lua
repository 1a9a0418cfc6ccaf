-- SPDX-License-Identifier: MIT
-- context:shutdown: the graceful end.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local socket = require 'socket'
local tls = require 'spec.support.tls'
local watching = require 'spec.support.watching'
local websockets = require 'websockets'

describe('shutdown', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)
  teardown(tls.remove_folders)

  local long = 1000 -- seconds: what waits for it fails

  local function is_listening(port)
    local sock = socket.tcp()
    local connected = sock:connect('127.0.0.1', port)
    sock:close()
    return connected ~= nil
  end

  local function wait_for_end(ctx)
    loop.serve_until(ctx, function() return loop.is_destroyed(ctx) end, 'the end of the context')
  end

  it('destroys at once a context that has no connection', function()
    local ctx, port = pair.context()
    assert.equal(0, select('#', ctx:shutdown(long)))
    assert.is_true(loop.is_destroyed(ctx))
    assert.is_false(is_listening(port))
    assert.error_matches(function() ctx:shutdown(long) end, 'websocket context destroyed')
  end)

  it('closes websockets with 1001, and ends when they have answered', function()
    local closed = {}
    local ctx, port = pair.context(nil, function(ws)
      ws:subscribe 'a'
      ws:on_closed(function(_, code, reason) closed[#closed + 1] = code .. reason end)
    end)
    local clients = {}
    for i = 1, 3 do
      clients[i] = client.open(ctx, port, 'p')
    end
    ctx:shutdown(long)
    assert.same({ '1001', '1001', '1001' }, closed) -- as by close()
    assert.same({}, ctx:addresses())
    assert.same({}, ctx:topics())
    assert.is_false(is_listening(port))
    for _, c in ipairs(clients) do
      assert.is_false(loop.is_destroyed(ctx))
      c:expect_close(1001)
      c:send_close(1001)
      c:expect_end()
    end
    wait_for_end(ctx)
    assert.equal(3, #closed)
  end)

  it('takes a code and a reason', function()
    local c, _, ctx = pair.open()
    ctx:shutdown(long, websockets.CLOSE_SERVICE_RESTART, 'back soon')
    c:expect_close(1012, 'back soon')
    ctx:destroy()
    c, _, ctx = pair.open()
    ctx:shutdown(nil, nil, 'bye')
    c:expect_close(1001, 'bye')
    ctx:destroy()
    c, _, ctx = pair.open()
    ctx:shutdown(long, 0)
    c:expect_close(nil)
  end)

  it('refuses other arguments', function()
    local ctx = pair.context()
    for _, seconds in ipairs { -1, 0 / 0, math.huge, 1e10 } do
      assert.error_matches(function() ctx:shutdown(seconds) end, 'a number of seconds expected')
    end
    assert.has_error(function() ctx:shutdown 'x' end)
    assert.has_error(function() ctx:shutdown {} end)
    for _, code in ipairs { 1, 999, 1005, 1006, 1015, 5000, -1 } do
      assert.error_matches(function() ctx:shutdown(1, code) end, 'a close code that may not be sent')
    end
    assert.error_matches(function() ctx:shutdown(1, 0, 'x') end, 'a reason needs a code')
    assert.error_matches(function() ctx:shutdown(1, 1001, '\255') end, 'a close reason must be UTF%-8')
    assert.error_matches(function() ctx:shutdown(1, 1001, ('x'):rep(124)) end, 'at most 123 bytes')
    assert.is_false(loop.is_destroyed(ctx))
  end)

  it('drops in the end who does not answer', function()
    local closed = 0
    local ctx, port = pair.context({ close_timeout = long }, function(ws)
      ws:on_closed(function() closed = closed + 1 end)
    end)
    local c, slow = client.open(ctx, port, 'p'), client.connect(ctx, port)
    slow:send 'GET / HTTP/1.1\r\n' -- a request that does not end
    c:expect_nothing()
    local start = socket.gettime()
    ctx:shutdown(0.1)
    wait_for_end(ctx)
    assert.is_true(socket.gettime() - start >= 0.099)
    assert.equal(1, closed)
    c:expect_close(1001)
    c:read_all()
    slow:read_all()
  end)

  it('can be given another time', function()
    local c, _, ctx = pair.open { close_timeout = long }
    ctx:shutdown(long, 1012)
    ctx:shutdown(0, 1001)
    wait_for_end(ctx)
    c:expect_close(1012)
    c:read_all()
  end)

  it('lets what was sent arrive', function()
    local c, ws, ctx = pair.open(nil, nil, { receive_buffer = 65536 })
    local large = ('x'):rep(4e6)
    ws:write(large)
    ctx:shutdown(long)
    c:expect_text(large)
    c:expect_close(1001)
    c:send_close(1001)
    c:expect_end()
    wait_for_end(ctx)
  end)

  describe('of HTTP', function()
    local function open(on_http, config)
      local copy = { on_http = on_http }
      for name, value in pairs(config or {}) do
        copy[name] = value
      end
      return pair.context(copy)
    end

    local function answer(ws) ws:respond(200, { ['Content-Type'] = 'text/plain' }, 'answer') end

    it('closes what is idle at once', function()
      local ctx, port = open(answer)
      local silent, kept = client.connect(ctx, port), client.connect(ctx, port)
      kept:send(http.request '/')
      local _, headers = kept:read_response()
      assert.is_nil(headers.connection)
      ctx:shutdown(long)
      wait_for_end(ctx)
      silent:expect_end()
      kept:expect_end()
    end)

    it('lets a request that has begun be answered', function()
      local ctx, port = open(answer)
      local c = client.connect(ctx, port)
      local request = http.request '/'
      c:send_split(request:sub(1, 10), 10)
      loop.step(ctx, 0)
      ctx:shutdown(long)
      assert.is_false(loop.is_destroyed(ctx))
      c:send(request:sub(11))
      local status, headers, body = c:read_response()
      assert.same({ 200, 'close', 'answer' }, { status, headers.connection, body })
      c:expect_end()
      c:close()
      wait_for_end(ctx)
    end)

    it('waits for an answer that comes later', function()
      local asked
      local ctx, port = open(function(ws)
        ws:defer()
        asked = ws
      end)
      local c = client.connect(ctx, port)
      c:send(http.request '/')
      loop.serve_until(ctx, function() return asked end)
      ctx:shutdown(long)
      loop.step(ctx, 0)
      assert.is_false(loop.is_destroyed(ctx))
      answer(asked)
      local status, headers = c:read_response()
      assert.same({ 200, 'close' }, { status, headers.connection })
      c:expect_end()
      c:close()
      wait_for_end(ctx)
      asked = nil -- luacheck: ignore
    end)

    it('may begin in on_http: that answer is the last one', function()
      for _, is_first in ipairs { true, false } do
        local ctx, port
        ctx, port = open(function(ws)
          if is_first then ctx:shutdown(long) end
          answer(ws)
          if not is_first then ctx:shutdown(long) end
        end)
        local c = client.connect(ctx, port)
        c:send(http.request '/' .. http.request '/')
        assert.equal(200, (c:read_response()))
        c:expect_end()
        c:close()
        wait_for_end(ctx)
      end
    end)

    it('lets a large file arrive', function()
      local path = os.tmpname()
      local large = ('line\n'):rep(1e6)
      tls.write(path, large)
      local asked
      local ctx, port = open(function(ws)
        ws:serve_http_file(path, 'text/plain')
        asked = true
      end)
      local c = client.connect(ctx, port, { receive_buffer = 65536 })
      c:send(http.request '/')
      loop.serve_until(ctx, function() return asked end)
      ctx:shutdown(long)
      local status, _, body = c:read_response()
      assert.equal(200, status)
      assert.is_true(body == large)
      c:expect_end()
      c:close()
      wait_for_end(ctx)
      os.remove(path)
    end)

    it('refuses new websockets with 503', function()
      local ctx, port = open(nil)
      local c = client.connect(ctx, port)
      local request = client.request { protocol = 'p' }
      c:send_split(request:sub(1, 10), 10)
      loop.step(ctx, 0)
      ctx:shutdown(long)
      c:send(request:sub(11))
      assert.equal(503, (c:read_response()))
      c:expect_end()
      c:close()
      wait_for_end(ctx)
    end)
  end)

  it('refuses websockets that are decided about later with 503', function()
    local asked
    local ctx, port = pair.context { on_upgrade = function(request)
      asked = request
      return request:defer()
    end }
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    loop.serve_until(ctx, function() return asked end)
    ctx:shutdown(long)
    loop.step(ctx, 0)
    assert.is_false(loop.is_destroyed(ctx))
    asked:accept()
    asked = nil
    assert.equal(503, (c:read_response()))
    c:expect_end()
    c:close()
    wait_for_end(ctx)
  end)

  it('lets timers go on', function()
    local c, _, ctx = pair.open()
    local ticks = 0
    ctx:every(0.001, function() ticks = ticks + 1 end)
    ctx:shutdown(long)
    loop.serve_until(ctx, function() return ticks >= 3 end)
    c:expect_close(1001)
    c:send_close()
    c:expect_end()
    wait_for_end(ctx)
  end)

  it('may be called, and anything else be done, in on_closed', function()
    local log, sockets = {}, {}
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      local number = #sockets + 1
      sockets[number] = ws
      ws:on_closed(function(_, code)
        log[#log + 1] = number .. ' ' .. code
        if not loop.is_destroyed(ctx) then ctx:shutdown(long, 1012) end
        for _, other in ipairs(sockets) do
          other:terminate()
        end
        if loop.is_destroyed(ctx) then return end
        ctx:service(0)
        ctx:stop()
      end)
    end)
    local clients = {}
    for i = 1, 3 do
      clients[i] = client.open(ctx, port, 'p')
    end
    ctx:shutdown(long)
    wait_for_end(ctx)
    table.sort(log)
    assert.equal(3, #log)
    for _, c in ipairs(clients) do
      c:read_all()
    end
  end)

  it('may be cut short by destroy, in a callback too', function()
    local c, _, ctx = pair.open()
    ctx:shutdown(long)
    ctx:destroy()
    c:expect_close(1001)
    local log = {}
    local port
    ctx, port = pair.context(nil, function(ws)
      ws:on_closed(function()
        log[#log + 1] = 'closed'
        ctx:destroy()
      end)
    end)
    local clients = { client.open(ctx, port, 'p'), client.open(ctx, port, 'p') }
    ctx:shutdown(long)
    assert.is_true(loop.is_destroyed(ctx))
    assert.same({ 'closed', 'closed' }, log)
    for _, other in ipairs(clients) do
      other:expect_close(1001)
    end
  end)

  it('within a callback completes there, if that serves', function()
    local done
    local ctx, c
    local port
    ctx, port = pair.context({ close_timeout = 0.1 }, function(ws) -- it is read from no more meanwhile
      ws:on_receive(function()
        ctx:shutdown(long)
        c:expect_close(1001)
        c:send_close(1001)
        while not loop.is_destroyed(ctx) do
          ctx:service(-1)
        end
        done = true
      end)
    end)
    c = client.open(ctx, port, 'p')
    c:text 'x'
    loop.serve_until(ctx, function() return done end)
  end)

  it('tells an outer loop of the end of each descriptor #pollfd', function()
    local config, watched = watching.config { protocols = { p = function() end }, listen = { '127.0.0.1:0' } }
    local ctx = websockets.context(config)
    local port = tonumber((ctx:addresses()[1]:match '%d+$'))
    local function step()
      for fd in pairs(watched.fds) do
        if watched.fds[fd] and not loop.is_destroyed(ctx) then ctx:service_fd(fd, websockets.POLLIN) end
      end
    end
    local sock = socket.tcp()
    sock:connect('127.0.0.1', port)
    step()
    sock:send(client.request { protocol = 'p' })
    step()
    assert.equal(3, watching.count(watched.fds)) -- the listener, an internal one, the client
    ctx:shutdown(long)
    assert.equal(2, watching.count(watched.fds))
    assert.is_false(loop.is_destroyed(ctx))
    sock:send(client.frame(client.CLOSE, client.close_body(1001)))
    for _ = 1, 1000 do
      step()
    end
    sock:close()
    assert.is_true(loop.is_destroyed(ctx))
    assert.same({}, watched.fds)
  end)

  it('works over TLS, and on unix sockets', function()
    local c, _, ctx = pair.open(tls.config(), nil, { tls = {} })
    ctx:shutdown(long)
    c:expect_close(1001)
    c:send_close(1001)
    c:read_all()
    c:close()
    wait_for_end(ctx)
    local path = os.tmpname()
    os.remove(path)
    ctx = loop.context { port = 0, listen = { 'unix:' .. path }, protocols = { p = function() end } }
    ctx:shutdown(long)
    assert.is_true(loop.is_destroyed(ctx))
    assert.is_nil(io.open(path))
  end)

  it('does not work where another process serves', function()
    local server = remote.start()
    server:call [[
      local websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
      assert(ctx:fork_service_loop() == 0)]]
    for _, method in ipairs { 'shutdown', 'stop', 'run' } do
      local ok, why = server:call("return pcall(ctx.%s, ctx)", method)
      assert.is_false(ok)
      assert.is_truthy(why:find('websocket fork_service_loop was called already', 1, true))
    end
    server:close()
  end)
end)
