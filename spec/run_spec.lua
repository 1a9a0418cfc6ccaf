-- SPDX-License-Identifier: MIT
-- context:run and context:stop. What gets signals is another process: see remote.lua.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local script = require 'spec.support.script'
local websockets = require 'websockets'

describe('run', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)

  it('serves until it is stopped, then shuts down', function()
    local closed
    local c, _, ctx, port = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
      ws:on_closed(function(_, code) closed = code end)
    end)
    c:send_some(client.frame(client.TEXT, 'hello'))
    local stopper
    ctx:every(0.001, function()
      while c:pump() do end
      if c.buffered == 0 or stopper then return end
      c:expect_text 'hello'
      ctx:stop()
      assert(closed == 1001)
      c:send_some(client.frame(client.CLOSE, client.close_body(1001)))
      stopper = true
    end)
    assert.same({ 0, 'stop' }, { ctx:run(1000) })
    assert.is_true(loop.is_destroyed(ctx))
    c:expect_close(1001)
    c:expect_end()
    assert.error_matches(function() ctx:run() end, 'websocket context destroyed')
    assert.error_matches(function() ctx:stop() end, 'websocket context destroyed')
    assert.is_number(port)
  end)

  it('ends when the context is shut down or destroyed by somebody else', function()
    for _, method in ipairs { 'shutdown', 'destroy', 'stop' } do
      local ctx = pair.context()
      ctx:after(0, function() ctx[method](ctx) end)
      assert.same({ 0, 'stop' }, { ctx:run() })
      assert.is_true(loop.is_destroyed(ctx))
    end
  end)

  it('waits for the shutdown so long', function()
    local c, _, ctx = pair.open { close_timeout = 1000 }
    ctx:after(0, function() ctx:stop() end)
    assert.same({ 0, 'stop' }, { ctx:run(0.02) })
    c:expect_close(1001)
    c:read_all()
  end)

  it('can be told to stop only while it runs', function()
    local ctx = pair.context()
    assert.equal(0, select('#', ctx:stop()))
    loop.step(ctx, 0)
    assert.is_false(loop.is_destroyed(ctx))
  end)

  it('may be nested: in one context, and in several', function()
    local outer, inner = pair.context(), pair.context()
    local log = {}
    local function note(...) log[#log + 1] = table.concat({ ... }, ' ') end
    outer:after(0, function()
      inner:after(0, function() inner:stop() end)
      note(inner:run())
      assert(loop.is_destroyed(inner) and not loop.is_destroyed(outer))
      outer:after(0, function() outer:stop() end)
      note(outer:run())
    end)
    note(outer:run())
    assert.same({ '0 stop', '0 stop', '0 stop' }, log)
  end)

  it('goes on when callbacks raise errors', function()
    local errors = 0
    local ctx = pair.context { on_error = function() errors = errors + 1 end }
    ctx:every(0.001, function()
      if errors == 3 then ctx:stop() end
      error 'oops'
    end)
    assert.same({ 0, 'stop' }, { ctx:run() })
    assert.equal(4, errors)
  end)

  it('says so when there is nothing to wait for', function()
    local nothing = 'websocket context listens nowhere and has nothing to wait for'
    local ctx = pair.context { port = 0 }
    assert.error_matches(function() ctx:run() end, nothing)
    assert.is_false(loop.is_destroyed(ctx))
    local calls = 0
    ctx:after(0.001, function() calls = calls + 1 end)
    assert.error_matches(function() ctx:run() end, nothing)
    assert.equal(1, calls)
    ctx:after(0.001, function() ctx:stop() end)
    assert.same({ 0, 'stop' }, { ctx:run() })
  end)

  it('of the module returns when there is nothing to wait for', function()
    assert.same({ 0, 'done' }, { websockets.run() })
    assert.error_matches(function() websockets.run(-1) end, 'a number of seconds expected')
  end)

  it('refuses other arguments', function()
    local ctx = pair.context()
    for _, seconds in ipairs { -1, 0 / 0, math.huge } do
      assert.error_matches(function() ctx:run(seconds) end, 'a number of seconds expected')
    end
    assert.error_matches(function() ctx:run 'x' end, 'number expected, got string')
    assert.error_matches(function() ctx:run(true) end, 'number expected, got boolean')
  end)

  it('lets a callback ask for the descriptor of the loop #pollfd', function()
    local server = remote.start()
    local port = server:call [[
      local websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function(ws)
        assert(ctx:pollfd())
        ws:write 'hello'
      end } }
      return tonumber((ctx:addresses()[1]:match '%d+$'))]]
    server:begin 'return ctx:run()'
    local c = client.open({}, port, 'p')
    c:expect_text 'hello'
    remote.signal(server.pid, 'TERM')
    c:expect_close(1001)
    c:send_close(1001)
    assert.equal(0, (server:result()))
  end)

  describe('with signals', function()
    -- A process with a context, and its port. Clients of p get `hello`.
    local function start(more)
      local server = remote.start()
      local port = server:call([[
        local websockets = require 'websockets'
        events = {}
        -- The signals that are caught, as a number in base 16.
        function caught()
          for line in io.lines '/proc/self/status' do
            local mask = line:match '^SigCgt:%%s*(%%x+)'
            if mask then return mask end
          end
        end
        function count_fds()
          local count = 0
          for fd = 0, 255 do
            local file = io.open('/proc/self/fdinfo/' .. fd)
            if file then count = count + 1; file:close() end
          end
          return count
        end
        function make()
          local made = websockets.context { listen = { '127.0.0.1:0' }, close_timeout = 1000, protocols = {
            p = function(ws)
              ws:write 'hello'
              ws:on_closed(function(_, code) events[#events + 1] = 'closed ' .. code end)
            end,
          } }
          return made, tonumber((made:addresses()[1]:match '%%d+$'))
        end
        local port
        ctx, port = make()
        %s
        return port]], more or '')
      return server, port
    end

    local function answer_close(c)
      c:expect_close(1001)
      c:send_close(1001)
      c:expect_end()
    end

    for _, name in ipairs { 'INT', 'TERM' } do
      it('shuts down at SIG' .. name, function()
        local server, port = start 'before, fds_before = caught(), count_fds()'
        server:begin "local a, b = ctx:run(1000) return a, b, table.concat(events, ' ')"
        local c = client.open({}, port, 'p')
        c:expect_text 'hello'
        remote.signal(server.pid, name)
        answer_close(c)
        local status, why, events = server:result()
        assert.same({ 0, 'SIG' .. name, 'closed 1001' }, { status, why, events })
        assert.is_true(server:call 'return before == caught()')
        assert.is_true(server:call 'return count_fds() < fds_before') -- the listener and more
        assert.is_truthy(server:call('return tostring(ctx)'):find 'destroyed')
      end)
    end

    it('catches them only while it runs', function()
      local server = start()
      assert.is_true(server:call [[
        local before = caught()
        local during
        ctx:after(0, function()
          during = caught()
          ctx:stop()
        end)
        assert(ctx:run() == 0)
        return before == caught() and before ~= during]])
    end)

    it('notices one that comes while a callback runs', function()
      local server = start()
      local status, why = server:call [[
        local pid = process_id()
        ctx:after(0, function() os.execute('kill -TERM ' .. pid) end)
        return ctx:run()]]
      assert.same({ 0, 'SIGTERM' }, { status, why })
    end)

    it('ends at once at the second one', function()
      local server, port = start()
      server:begin "local a, b = ctx:run(1000) return a, b, table.concat(events, ' ')"
      local c = client.open({}, port, 'p')
      c:expect_text 'hello'
      remote.signal(server.pid, 'TERM')
      c:expect_close(1001)
      remote.signal(server.pid, 'INT')
      local status, why, events = server:result()
      assert.same({ 130, 'SIGINT', 'closed 1001' }, { status, why, events })
      c:read_all()
    end)

    it('is killed by the third one, whatever hangs', function()
      local server, port = start [[ctx:after(0.001, function() while true do end end)]]
      server:begin 'return ctx:run(1000)'
      local c = client.connect({}, port)
      loop.serve_until({}, function() return remote.is_running(server.pid) end)
      -- Until run has begun the signal would end it at once.
      c:send 'x'
      -- Whether SIGTERM, number 15, is in that set of signals; the 4 lowest digits are 16 of them.
      local function is_in(set)
        for line in io.lines(('/proc/%d/status'):format(server.pid)) do
          local mask = line:match('^' .. set .. ':%s*(%x+)')
          if mask then return tonumber(mask:sub(-4, -4), 16) >= 4 end
        end
      end
      loop.serve_until({}, function() return is_in 'SigCgt' end, 'the handler')
      remote.signal(server.pid, 'TERM')
      loop.serve_until({}, function() return not is_in 'ShdPnd' end, 'the first one to arrive')
      remote.signal(server.pid, 'TERM')
      loop.serve_until({}, function() return not is_in 'SigCgt' end, 'the end of the handler')
      remote.signal(server.pid, 'TERM')
      remote.wait_for_end(server.pid)
    end)

    it('ends all that are nested', function()
      local server = start 'inner, inner_port = make()'
      local port = server:call 'return inner_port'
      server:begin [[
        local results = {}
        ctx:after(0, function() results[1] = table.concat({ inner:run(1000) }, ' ') end)
        results[2] = table.concat({ ctx:run(1000) }, ' ')
        return table.concat(results, ', ')]]
      local c = client.open({}, port, 'p')
      c:expect_text 'hello'
      remote.signal(server.pid, 'TERM')
      answer_close(c)
      assert.equal('0 SIGTERM, 0 SIGTERM', server:result())
    end)

    it('gives a status to exit with', function()
      assert.equal('', script.run([[
        local context = require('websockets').context { protocols = { p = function() end } }
        context:after(0, function() context:stop() end)
        os.exit((context:run()))
      ]], nil, true))
    end)
  end)
end)
