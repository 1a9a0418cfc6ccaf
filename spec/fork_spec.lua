-- SPDX-License-Identifier: MIT
-- fork_service_loop. The process that forks is another one: see remote.lua. Its child answers a client that sends it a
-- program.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'
local socket = require 'socket'
local tls = require 'spec.support.tls'

local megabyte = 2 ^ 20
local is_slow = loop.time_factor > 1

-- For string.format. Protocols: p, whose clients are broadcast to; run, whose clients send programs.
local server_text = [[
  websockets = websockets or require 'websockets'
  events = {}
  function count_fds()
    local count = 0
    for fd = 0, 255 do
      local file = io.open('/proc/self/fdinfo/' .. fd)
      if file then count = count + 1; file:close() end
    end
    return count
  end
  local function run(program)
    return assert((loadstring or load)(program))()
  end
  local function note(event)
    events[#events + 1] = event
  end
  function open_context(config)
    config.listen = config.listen or { '127.0.0.1:0' }
    config.on_error = note
    config.protocols = {
      p = function(ws)
        last = ws
        note 'opened'
        ws:on_closed(function(_, code) note('closed ' .. code) end)
        ws:on_broadcast(websockets.WRITE_BINARY)
      end,
      run = function(ws)
        ws:on_broadcast(function() end)
        ws:on_receive(function(_, program) ws:write(tostring((run(program)))) end)
      end,
    }
    local opened = websockets.context(config)
    contexts[#contexts + 1] = opened
    return opened, tonumber((opened:addresses()[1]:match '%%d+$'))
  end
  ctx, port = open_context { %s }
  return port
]]

local function evaluate(c, program)
  c:text(program)
  return c:expect_frame(client.TEXT)
end

-- A process with a context, and its port.
local function start(config)
  local server = remote.start()
  return server, server:call(server_text, config or '')
end

-- The same, forked. Returns the process, the port, a client that runs programs in the child, the child's id.
local function start_forked(config)
  local server, port = start(config)
  assert.equal(0, server:call 'return ctx:fork_service_loop()')
  local runner = client.open({}, port, 'run')
  return server, port, runner, tonumber(evaluate(runner, 'return process_id()'))
end

local function open(port, protocol, options)
  local settings = { protocol = protocol or 'p' }
  for name, value in pairs(options or {}) do
    settings[name] = value
  end
  return client.open({}, port, settings)
end

local epoll = os.getenv 'WEBSOCKETS_DRIVER' == 'poll' and 0 or 1 -- descriptors of the loop

describe('fork_service_loop', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)
  teardown(tls.remove_folders)

  it('serves the context in another process', function()
    local server, port, runner, child = start_forked()
    assert.not_equal(server.pid, child)
    open(port):expect_nothing()
    assert.equal('opened', evaluate(runner, "return table.concat(events, ' ')"))
    assert.equal(0, server:call 'return #events')
    assert.equal(server.pid, server:call 'return process_id()')
    server:close()
  end)

  it('lets the caller broadcast to all clients, in order and whole', function()
    local server, port = start_forked()
    local clients = {}
    for i = 1, 3 do
      clients[i] = open(port)
    end
    local sizes = { 0, 1, 125, 126, 65535, 65536, 100000, 1, megabyte, 3 }
    for _, size in ipairs(sizes) do
      assert.equal(0, server:call("return ctx:broadcast('p', ('%s'):rep(%d))", size % 2 == 0 and 'e' or 'o', size))
    end
    for _, c in ipairs(clients) do
      for _, size in ipairs(sizes) do
        c:expect_binary((size % 2 == 0 and 'e' or 'o'):rep(size))
      end
      c:expect_nothing()
    end
  end)

  it('lets the caller broadcast many messages', function()
    local server, port = start_forked()
    local c = open(port)
    local count = is_slow and 2000 or 20000
    assert.equal(0, server:call([[
      local sum = 0
      for i = 1, %d do
        sum = sum + ctx:broadcast('p', i)
      end
      return sum]], count))
    for i = 1, count do
      c:expect_binary(tostring(i))
    end
  end)

  it('lets the caller broadcast more than what can wait', function()
    local size = (is_slow and 4 or 40) * megabyte
    local server, port = start_forked(('max_backpressure = %d'):format(is_slow and megabyte or 16 * megabyte))
    local c = open(port)
    for i = 1, 2 do
      assert.equal(0, server:call("return ctx:broadcast('p', ('%d'):rep(%d))", i, size))
      assert.equal(0, server:call("return ctx:broadcast('run', 'x')"))
      c:expect_binary(tostring(i):rep(size))
    end
    c:expect_nothing()
  end)

  it('waits for a child that takes something now and then, for longer than fork_busy_timeout in all', function()
    local timeout_s, status = 0.1, nil
    -- A machine that stands still for so long proves nothing.
    repeat
      timeout_s = 2 * timeout_s
      assert.is_true(timeout_s < 20)
      local server, port, runner = start_forked(('max_backpressure = %d, fork_busy_timeout = %f'):format(megabyte,
        timeout_s))
      open(port):expect_nothing()
      evaluate(runner, ("last:on_broadcast(function() os.execute 'sleep %f' end)"):format(timeout_s / 2))
      status = server:call([[
        for i = 1, 8 do
          assert(ctx:broadcast('p', ('x'):rep(%d)) == 0)
        end
        return (ctx:broadcast('p', ('y'):rep(%d)))]], megabyte / 8, megabyte)
      server:kill()
    until status == 0
  end)

  it('knows the protocols', function()
    local server, port, runner = start_forked()
    local c = open(port)
    local ok, why = server:call "return pcall(ctx.broadcast, ctx, 'unknown', 'x')"
    assert.is_false(ok)
    assert.is_truthy(why:find('websocket unknown protocol', 1, true))
    server:call "return ctx:broadcast('run', 'x')"
    runner:expect_nothing()
    c:expect_nothing()
  end)

  it('tells the clients of one another, too', function()
    local _, port, runner = start_forked()
    local c = open(port)
    assert.equal('0', evaluate(runner, "return ctx:broadcast('p', 'from the child')"))
    c:expect_binary 'from the child'
  end)

  it('keeps the order while a callback serves the context', function()
    local server, port, runner, child = start_forked()
    local first, second = open(port), open(port)
    second:expect_nothing()
    evaluate(runner, [[
      last:on_broadcast(function(ws, data)
        ctx:service(0)
        ctx:service(1)
        ws:write(data)
      end)]])
    remote.stop(child)
    for i = 1, 100 do
      server:call("return ctx:broadcast('p', %d)", i)
    end
    remote.signal(child, 'CONT')
    for i = 1, 100 do
      first:expect_binary(tostring(i))
      second:expect_text(tostring(i))
    end
  end)

  describe('when the child is stopped', function()
    local config = ('max_backpressure = %d, fork_busy_timeout = 0.05'):format(megabyte)

    it('accepts what can wait and nothing more; the child gets just that', function()
      local server, port, _, child = start_forked(config)
      local c = open(port)
      remote.stop(child)
      local count, status, why = server:call [[
        for i = 1, 1000 do
          local status, why = ctx:broadcast('p', ('%d '):format(i):rep(2500))
          if status ~= 0 then return i - 1, status, why end
        end]]
      assert.equal(-1, status)
      assert.equal('busy', why)
      local bytes = 0
      for i = 1, count do
        bytes = bytes + 2500 * #(i .. ' ')
      end
      assert.is_true(bytes >= megabyte - 2500 * 4 and bytes < 1.1 * megabyte)
      remote.signal(child, 'CONT')
      for i = 1, count do
        c:expect_binary((i .. ' '):rep(2500))
      end
      assert.equal(0, server:call "return ctx:broadcast('p', 'after')")
      c:expect_binary 'after'
      c:expect_nothing()
    end)

    it('gives up what it has begun', function()
      local server, port, _, child = start_forked(config)
      local c = open(port)
      for round = 1, 3 do
        remote.stop(child)
        local status, why = server:call("return ctx:broadcast('p', ('x'):rep(%d))", 3 * megabyte)
        assert.equal(-1, status)
        assert.equal('busy', why)
        -- There is room for this still: the child finds it behind what was given up, or later.
        if round == 1 then remote.signal(child, 'CONT') end
        assert.equal(0, server:call("return ctx:broadcast('p', 'after %d')", round))
        remote.signal(child, 'CONT')
        c:expect_binary('after ' .. round)
      end
      assert.equal(0, server:call("return ctx:broadcast('p', ('y'):rep(%d))", 3 * megabyte))
      c:expect_binary(('y'):rep(3 * megabyte))
      c:expect_nothing()
    end)

    it('waits as long as it is told', function()
      local server, port, _, child = start_forked(('max_backpressure = %d, fork_busy_timeout = %d'):format(
        megabyte, 1000))
      local c = open(port)
      remote.stop(child)
      server:begin([[
        for i = 1, 3 do
          local status, why = ctx:broadcast('p', tostring(i):rep(%d))
          if status ~= 0 then return status, why end
        end
        return 0]], megabyte)
      assert.is_false(server:has_ended())
      remote.signal(child, 'CONT')
      for i = 1, 3 do
        c:expect_binary(tostring(i):rep(megabyte))
      end
      assert.equal(0, server:result())
    end)

    it('notices that the child is killed', function()
      local server, _, _, child = start_forked(('max_backpressure = %d, fork_busy_timeout = %d'):format(
        megabyte, 1000))
      remote.stop(child)
      server:begin([[
        local status, why
        repeat status, why = ctx:broadcast('p', ('x'):rep(%d)) until status ~= 0
        return status, why]], megabyte)
      remote.signal(child, 'KILL')
      local status, why = server:result()
      assert.equal(-1, status)
      assert.equal('closed', why)
    end)
  end)

  it('notices that the child is dead', function()
    local server, _, runner, child = start_forked()
    remote.signal(child, 'KILL')
    remote.wait_for_end(child)
    runner:read_all()
    for _ = 1, 2 do
      local status, why = server:call "return ctx:broadcast('p', 'x')"
      assert.equal(-1, status)
      assert.equal('closed', why)
    end
    server:call 'ctx:destroy()'
    assert.is_nil(remote.state_of(child))
  end)

  it('notices that the child has destroyed the context', function()
    local server, port, runner, child = start_forked()
    local c = open(port)
    runner:text 'ctx:destroy()'
    c:expect_close(1001)
    c:expect_end()
    remote.wait_for_end(child)
    local status, why = server:call "return ctx:broadcast('p', 'x')"
    assert.equal(-1, status)
    assert.equal('closed', why)
  end)

  it('ends the child when the caller is killed', function()
    local server, port, _, child = start_forked()
    local c = open(port)
    server:kill()
    c:expect_close(1001)
    c:expect_end()
    remote.wait_for_end(child)
  end)

  it('ends the child when the caller ends', function()
    local server, port, _, child = start_forked()
    local c = open(port)
    server:close()
    c:expect_close(1001)
    c:expect_end()
    remote.wait_for_end(child)
  end)

  it('ends the child when the context is destroyed, after what was broadcast', function()
    local server, port, _, child = start_forked()
    local c = open(port)
    server:call "ctx:broadcast('p', 'last') ctx:destroy()"
    assert.is_nil(remote.state_of(child))
    c:expect_binary 'last'
    c:expect_close(1001)
    c:expect_end()
    local ok, why = server:call "return pcall(ctx.broadcast, ctx, 'p', 'x')"
    assert.is_false(ok)
    assert.is_truthy(why:find('websocket context destroyed', 1, true))
  end)

  it('ends the child when the context is collected', function()
    local server, port, _, child = start_forked()
    local c = open(port)
    server:call 'contexts, ctx = {}, nil collectgarbage() collectgarbage()'
    assert.is_nil(remote.state_of(child))
    c:expect_close(1001)
    c:expect_end()
  end)

  it('ends a child that is stopped, too', function()
    local server, port, _, child = start_forked()
    open(port)
    remote.stop(child)
    server:call 'ctx:destroy()'
    assert.is_nil(remote.state_of(child))
  end)

  it('gives all descriptors back before it returns #pollfd', function()
    local server = start [[
      port = 0,
      on_add_fd = function(fd) watched = watched or {} assert(not watched[fd]) watched[fd] = true end,
      on_del_fd = function(fd) assert(watched[fd]) watched[fd] = nil end,
    ]]
    local port = server:call 'return port'
    local before = open(port)
    before:expect_nothing()
    assert.is_true(server:call [[
      local count = 0
      for _ in pairs(watched) do count = count + 1 end
      return count >= 3]])
    assert.is_true(server:call 'assert(ctx:fork_service_loop() == 0) return next(watched) == nil')
    before:expect_nothing()
    open(port):expect_nothing()
    assert.is_true(server:call 'return next(watched) == nil')
    assert.equal(0, server:call 'return #events - 1')
  end)

  it('leaves the websockets of before to the child', function()
    local server, port = start()
    local c = open(port)
    c:expect_nothing()
    assert.equal(0, server:call 'return ctx:fork_service_loop()')
    local status, why = server:call "return last:write 'x'"
    assert.equal(-1, status)
    assert.equal('closed', why)
    assert.is_truthy(server:call('return tostring(last)'):find 'closed')
    assert.equal('opened', server:call "return table.concat(events, ' ')")
    c:expect_nothing()
    local runner = open(port, 'run')
    evaluate(runner, "return last:write 'from the child'")
    c:expect_text 'from the child'
    server:call "ctx:broadcast('p', 'from the parent')"
    c:expect_binary 'from the parent'
    c:finish(1000)
    assert.equal('opened closed 1000', evaluate(runner, "return table.concat(events, ' ')"))
    assert.equal('opened', server:call "return table.concat(events, ' ')")
  end)

  it('leaves what is on its way to the child', function()
    local server, port = start()
    local size = (is_slow and 1 or 8) * megabyte
    local reading, half = open(port, 'p', { receive_buffer = 65536 }), open(port)
    half:send(client.frame(client.TEXT, 'half'):sub(1, 7))
    local waiting = client.connect({}, port)
    waiting:send 'GET / HT'
    reading:expect_nothing()
    half:send ''
    server:call("last_one = last ctx:broadcast('p', ('x'):rep(%d))", size)
    assert.equal(0, server:call 'return ctx:fork_service_loop()')
    reading:expect_binary(('x'):rep(size))
    half:expect_binary(('x'):rep(size))
    half:send(client.frame(client.TEXT, 'half'):sub(8))
    half:expect_nothing()
    waiting:send 'TP/1.1\r\nHost: localhost\r\n\r\n'
    assert.equal(404, (waiting:read_response()))
  end)

  it('answers the caller that there is nothing to serve', function()
    local server = start_forked()
    for _, call in ipairs { 'service()', 'service(0)', 'service(10)', 'service_fd(0, 1)', 'service_fd(5, "r")' } do
      assert.equal(0, server:call('return ctx:' .. call))
    end
    local ok, why = server:call 'return ctx:reload_certificates()'
    assert.is_nil(ok)
    assert.is_string(why)
  end)

  it('leaves the caller nothing to serve, for which it waits as long as it is told to', function()
    local server = start_forked()
    local passed = server:call [[
      local socket = require 'socket'
      local before = socket.gettime()
      ctx:service(200)
      return socket.gettime() - before
    ]]
    assert.is_true(passed >= 0.19)
    local path = os.tmpname()
    server:begin('os.remove %q return ctx:service(-1)', path)
    loop.serve_until({}, function()
      local file = io.open(path)
      if file then file:close() end
      return not file and remote.state_of(server.pid) == 'S'
    end, 'the process to wait')
    assert.is_false(server:has_ended())
    server:kill()
  end)

  it('is an error inside a callback, and the second time', function()
    local server, port = start()
    local runner = open(port, 'run')
    assert.is_truthy(evaluate(runner, 'return select(2, pcall(ctx.fork_service_loop, ctx))'):find 'inside a callback')
    server:call 'ctx:fork_service_loop()'
    local ok, why = server:call 'return pcall(ctx.fork_service_loop, ctx)'
    assert.is_false(ok)
    assert.is_truthy(why:find 'already')
    assert.is_truthy(evaluate(runner, 'return select(2, pcall(ctx.fork_service_loop, ctx))'):find 'inside a callback')
  end)

  it('keeps no descriptor that it does not need', function()
    local server = remote.start()
    server:call 'require "websockets"'
    local before
    local port = server:call(server_text, '')
    server:call 'ctx:destroy() contexts = {}'
    before = server:call 'return count_fds()'
    port = server:call(server_text, '')
    local c = open(port)
    c:expect_nothing()
    server:call 'ctx:fork_service_loop()'
    assert.equal(before + 1, server:call 'return count_fds()') -- the link
    local runner = open(port, 'run')
    local in_child = tonumber(evaluate(runner, 'return count_fds()'))
    assert.equal(before + 5 + epoll, in_child) -- the link, epoll, the listener and its spare, two clients
    for _ = 1, 20 do
      open(port):finish(1000)
    end
    c:finish(1000)
    assert.equal(before + 4 + epoll, tonumber(evaluate(runner, 'return count_fds()')))
    server:call 'ctx:destroy()'
    assert.equal(before, server:call 'return count_fds()')
  end)

  it('does not touch the other contexts of the caller', function()
    local server, port = start()
    local other_port = server:call 'other, other_port = open_context {} return other_port'
    local c = open(other_port)
    c:expect_nothing()
    assert.equal(0, server:call 'return ctx:fork_service_loop()')
    local runner = open(port, 'run')
    assert.equal('opened', evaluate(runner, "return table.concat(events, ' ')"))
    assert.is_truthy(evaluate(runner, 'return select(2, pcall(other.service, other, 0))'):find 'destroyed')
    evaluate(runner, 'contexts, other, last = {}, nil, nil collectgarbage() collectgarbage()')
    c:expect_nothing()
    open(other_port):expect_nothing()
    server:call "other:broadcast('p', 'x')"
    c:expect_binary 'x'
  end)

  it('keeps no descriptor of the other contexts of the caller in the child', function()
    local server, port = start()
    local other_port, third_port = server:call [[
      other, other_port = open_context {}
      third, third_port = open_context {}
      third:fork_service_loop()
      return other_port, third_port
    ]]
    local c = open(other_port)
    c:expect_nothing()
    local before = server:call 'return count_fds()'
    assert.equal(0, server:call 'return ctx:fork_service_loop()')
    local runner = open(port, 'run')
    -- Gone are the links of the others, what other has (epoll, the listener and its spare, the client); the link is
    -- there instead, and the client that asks.
    assert.equal(before - 1 - 3 - epoll + 2, tonumber(evaluate(runner, 'return count_fds()')))
    server:call 'last:terminate()'
    c:expect_end()
    assert.is_truthy(third_port)
  end)

  it('can be done for several contexts', function()
    local server, port, runner, child = start_forked()
    local other_port = server:call 'other, other_port = open_context {} return other_port'
    assert.equal(0, server:call 'return other:fork_service_loop()')
    local other_runner = open(other_port, 'run')
    local other_child = tonumber(evaluate(other_runner, 'return process_id()'))
    assert.not_equal(child, other_child)
    local first, second = open(port), open(other_port)
    server:call "ctx:broadcast('p', 'first') other:broadcast('p', 'second')"
    first:expect_binary 'first'
    second:expect_binary 'second'
    server:call 'ctx:destroy()'
    assert.is_nil(remote.state_of(child))
    first:expect_close(1001)
    second:expect_nothing()
    server:kill()
    second:expect_close(1001)
    remote.wait_for_end(other_child)
    runner:expect_close(1001)
  end)

  it('ends all children when the caller is killed', function()
    local server, _, _, child = start_forked()
    local other_port = server:call 'other, other_port = open_context {} other:fork_service_loop() return other_port'
    local other_child = tonumber(evaluate(open(other_port, 'run'), 'return process_id()'))
    server:kill()
    remote.wait_for_end(child)
    remote.wait_for_end(other_child)
  end)

  it('leaves the file of a unix socket in its place', function()
    local path = os.tmpname()
    os.remove(path)
    local server = remote.start()
    server:call([[
      websockets = require 'websockets'
      ctx = websockets.context { listen = { 'unix:%s' }, protocols = { p = function() end } }
      assert(ctx:fork_service_loop() == 0)]], path)
    local output = command.run({},
      ('curl -s -o /dev/null -w %%{http_code} --unix-socket %s http://localhost/'):format(path))
    assert.equal('404', output)
    server:call 'ctx:destroy()'
    assert.is_nil(io.open(path))
  end)

  it('keeps TLS connections', function()
    local server, port = start(("ssl_cert_path = '%s/server.pem', ssl_private_key_path = '%s/server.key'"):gsub('%%s',
      (tls.folder 'ours')))
    local c, slow = open(port, 'p', { tls = {} }), open(port, 'p', { tls = {}, receive_buffer = 65536 })
    c:expect_nothing()
    slow:expect_nothing()
    local data = http.pattern((is_slow and 1 or 6) * megabyte)
    server:call(("ctx:broadcast('p', (%q))"):format(data):gsub('%%', '%%%%'))
    assert.equal(0, server:call 'return ctx:fork_service_loop()')
    server:call "return ctx:broadcast('p', 'x')"
    for _, each in ipairs { c, slow, open(port, 'p', { tls = {} }) } do
      if each == c or each == slow then
        each:expect_binary(data)
        each:expect_binary 'x'
      end
      each:expect_nothing()
    end
    server:call 'ctx:destroy()'
    c:expect_close(1001)
    c:expect_end()
  end)

  it('writes what waits in the standard streams once', function()
    local output = script.run [[
      local websockets = require 'websockets'
      io.stdout:setvbuf('full')
      io.write 'once '
      local ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
      assert(ctx:fork_service_loop() == 0)
      io.write 'after'
      ctx:destroy()]]
    assert.equal('once after', output)
  end)

  it('goes on after errors in callbacks', function()
    local _, port, runner = start_forked()
    local c = open(port, 'run')
    c:text "error 'as told'"
    c:expect_close(1011)
    assert.is_truthy(evaluate(runner, 'return events[1]'):find 'as told')
  end)

  it('can be ended by SIGTERM', function()
    local server, _, _, child = start_forked()
    remote.signal(child, 'TERM')
    remote.wait_for_end(child)
    local status, why = server:call "return ctx:broadcast('p', 'x')"
    assert.equal(-1, status)
    assert.equal('closed', why)
  end)

  it('can be ended by SIGTERM though it was forked while another context ran', function()
    local server, port = start()
    server:begin [[
      local other = open_context {}
      other:after(0, function() ctx:fork_service_loop() end)
      return other:run(1000)]]
    local runner = client.open({}, port, 'run')
    local child = tonumber(evaluate(runner, 'return process_id()'))
    assert.not_equal(server.pid, child)
    remote.signal(child, 'TERM')
    remote.wait_for_end(child)
    remote.signal(server.pid, 'TERM')
    assert.equal(0, server:result())
  end)
end)
