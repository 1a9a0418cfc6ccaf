-- SPDX-License-Identifier: MIT
-- What holds whichever way another event loop serves a context. (The adapters have files of their own.)
local adapter = require 'websockets.adapter'
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'

-- Nothing but what becomes readable is served, and nothing else goes on.
for _, mode in ipairs { 'per-fd', 'one-fd' } do
  describe('a loop that watches for reading only, ' .. mode .. ' #pollfd', function()
    leaks.check_each(before_each, after_each)
    before_each(function() loop.use(mode) end)

    it('sends everything to a slow reader, and then drops one that does not answer', function()
      local data = ('0123456789abcdef'):rep(2 ^ 22) -- 64 MiB
      local closed
      local c, ws, ctx = pair.open({ max_backpressure = 2 * #data, close_timeout = 1 }, function(ws)
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

describe('an adapter whose loop cannot watch #pollfd', function()
  leaks.check_each(before_each, after_each)

  local nobody = ('ws://127.0.0.1:%d/'):format(loop.free_port())

  it('raises it in connect, and leaves no client', function()
    local fails, watched = true, 0
    local function watch()
      if fails then error 'cannot watch' end
      watched = watched + 1
      return function() watched = watched - 1 end
    end
    local function connect(url) return adapter.connect(url, nil, watch) end
    local function expect_failure()
      local ok, why = pcall(connect, nobody)
      assert.is_false(ok)
      assert.matches('^spec/outer_loop_spec.lua:%d+: cannot watch$', why)
    end
    expect_failure()
    fails = false
    local ws = connect(nobody)
    local ctx = ws:context()
    assert.equal(1, watched)
    ws:close()
    assert.equal(0, watched)
    fails = true
    expect_failure()
    assert.is_true(loop.is_destroyed(ctx))
    fails = false
    ctx = connect(nobody):context()
    assert.equal(1, watched)
    ctx:destroy()
    assert.equal(0, watched)
  end)

  it('tells on_error where it is not connect that needs it', function()
    local output = script.run(([[
      local adapter = require 'websockets.adapter'
      local fails
      local function watch()
        if fails then error 'cannot watch' end
        return function() end
      end
      local ws = adapter.connect('%s', nil, watch)
      local ctx = ws:context()
      ws:close()
      assert(not pcall(adapter.connect, 'no URL', nil, watch))
      fails = true
      ctx:after(0, print)
    ]]):format(nobody))
    assert.matches('^websockets: error in a callback: [^\n]*cannot watch\n', output)
  end)
end)
