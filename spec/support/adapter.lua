-- SPDX-License-Identifier: MIT
-- What has to hold for each adapter: contexts live in somebody else's loop (a file in loops/) as one of several guests.

local assert = require 'luassert'
local busted = require 'busted'
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local socket = require 'socket'
local waiting = require 'spec.support.waiting'
local websockets = require 'websockets'

local it = busted.it

local function echo(ws)
  ws:on_receive(function(_, data, type) ws:write(data, type) end)
end

-- A client of the loop's own echo server.
local function other_socket(ctx)
  local port = loop.free_port()
  local stop = loop.other.echo(port)
  local sock = assert(socket.connect('127.0.0.1', port))
  sock:settimeout(0)
  local self = {}
  function self.exchange(text)
    assert.equal(#text, sock:send(text))
    local got = ''
    loop.serve_until(ctx, function()
      local data, _, part = sock:receive(#text - #got)
      got = got .. (data or part)
      return got == text
    end, 'the echo of another socket')
  end
  function self.close()
    sock:close()
    loop.step(ctx, 0)
    stop()
    loop.step(ctx, 0)
  end
  return self
end

local function describe_service()
  it('serves a context next to a timer and another socket', function()
    local ticks = 0
    local c, _, ctx = pair.open(nil, echo)
    local stop = loop.other.every(0.001, function()
      ticks = ticks + 1
      ctx:broadcast('p', 'tick')
    end)
    local other = other_socket(ctx)
    local ticks_got = 0
    for i = 1, 20 do
      local text = ('message %d'):format(i)
      c:text(text)
      other.exchange(text)
      while c:expect_text() ~= text do
        ticks_got = ticks_got + 1
      end
    end
    loop.serve_until(ctx, function() return ticks >= 10 end)
    stop()
    other.close()
    c:ping 'last'
    while c:receive_frame().opcode == client.TEXT do
      ticks_got = ticks_got + 1
    end
    assert.equal(ticks, ticks_got)
  end)

  it('sends what the peer takes late', function()
    local data = ('0123456789abcdef'):rep(2 ^ 22) -- 64 MiB
    local c, ws = pair.open { max_backpressure = 2 * #data }
    assert.equal(0, ws:write(data))
    c:expect_text(data)
  end)

  it('lets the timers of the library fire', function()
    local ws, closed
    local ctx, port = pair.context({ handshake_timeout = 0.05, close_timeout = 0.05 }, function(opened)
      ws = opened
      ws:on_closed(function(_, code) closed = code end)
    end)
    client.connect(ctx, port):expect_end()
    local c = client.open(ctx, port, 'p')
    ws:write('', websockets.WRITE_CLOSE) -- which nothing answers
    c:expect_close(nil)
    loop.serve_until(ctx, function() return closed end)
    assert.equal(1006, closed)
    c:read_all()
  end)

  it('serves many connections', function()
    local ctx, port = pair.context(nil, echo)
    local clients = {}
    for i = 1, 100 do
      clients[i] = client.open(ctx, port, 'p')
    end
    for i, c in ipairs(clients) do
      c:text(i .. '')
    end
    for i, c in ipairs(clients) do
      c:expect_text(i .. '')
      c:finish(1000)
    end
  end)

  it('serves several contexts', function()
    local c, _, one = pair.open(nil, echo)
    local d, _, two = pair.open(nil, echo)
    c.ctx, d.ctx = { one, two }, { one, two }
    c:text 'c'
    d:text 'd'
    c:expect_text 'c'
    d:expect_text 'd'
    one:destroy()
    c:expect_close(1001)
    d:text 'e'
    d:expect_text 'e'
  end)
end

local function describe_end()
  it('lets go of a context that is destroyed', function()
    local before = leaks.descriptors()
    local c, _, ctx = pair.open(nil, echo)
    local weak = setmetatable({ ctx }, { __mode = 'k' })
    ctx:destroy()
    loop.other.step(0)
    c:expect_close(1001)
    c:close()
    assert.same(before, leaks.descriptors())
    assert.is_true(loop.is_destroyed(weak[1]))
  end)

  it('lets go of a context that is destroyed in a callback', function()
    for _, when in ipairs { 'receive', 'open' } do
      local ctx
      local c, port
      ctx, port = pair.context(nil, function(ws)
        if when == 'open' then return ctx:destroy() end
        ws:on_receive(function() ctx:destroy() end)
      end)
      c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p', first = client.frame(client.TEXT, 'x') })
      assert.equal(101, c:read_head())
      c:expect_close(1001)
    end
  end)

  it('confuses no context with one that had its descriptors before', function()
    for i = 1, 5 do
      local c, _, ctx = pair.open(nil, echo)
      c:text(i .. '')
      c:expect_text(i .. '')
      ctx:destroy()
    end
  end)

  it('is left as it was when there is no context', function()
    local _, _, ctx, port = pair.open()
    local before = leaks.descriptors()
    for _, config in ipairs { { protocols = {} }, { protocols = { p = print }, port = port } } do
      assert.has_error(function() loop.other.context(config) end)
      loop.step(ctx, 0)
      assert.same(before, leaks.descriptors())
    end
  end)

  it('raises errors at the line of its caller', function()
    for given, text in pairs {
      [{ protocols = {} }] = "option 'protocols' is empty",
      [{ protocols = { p = print }, origin = {} }] = "option 'origin' is unknown, did you mean 'origins'?",
      [1] = "bad argument #1 to 'context' (table expected, got number)",
    } do
      local ok, message = pcall(function()
        local ctx = loop.other.context(given)
        return ctx
      end)
      assert.is_false(ok)
      assert.matches('spec/support/adapter.lua:%d+: ', message)
      assert.is_truthy(message:find(text, 1, true), message)
    end
  end)

  it('keeps a context that nobody else refers to', function()
    local port
    do
      local ctx
      ctx, port = pair.context(nil, echo)
      ctx = nil
    end
    for _ = 1, 3 do
      loop.other.step(0)
      leaks.collect()
    end
    assert.is_truthy(socket.connect('127.0.0.1', port)):close()
  end)
end

local function describe_clients(name)
  local function url_of(port) return ('ws://127.0.0.1:%d/'):format(port) end

  -- What it says to a server, and how it ends.
  local function converse(ws)
    local log = {}
    ws:on_open(function() ws:write 'hello' end)
    ws:on_receive(function(_, data)
      log[#log + 1] = data
      ws:close(1000)
    end)
    ws:on_closed(function(_, code) log.closed = code end)
    return log
  end

  local function expect_conversation(ctx, log)
    loop.serve_until(ctx, function() return log.closed end, 'the end of a client')
    assert.same({ 'hello', closed = 1000 }, log)
  end

  it('serves clients, which share a context', function()
    local ctx, port = pair.context(nil, echo)
    local one, other = loop.other.connect(url_of(port)), loop.other.connect(url_of(port), { protocols = { 'p' } })
    assert.same({ 'connecting', 'connecting' }, { one:state(), other:state() })
    assert.equal(one:context(), other:context())
    local log, other_log = converse(one), converse(other)
    expect_conversation(ctx, log)
    expect_conversation(ctx, other_log)
    one:context():destroy()
    local another = loop.other.connect(url_of(port))
    expect_conversation(ctx, converse(another))
    another:context():destroy()
  end)

  it('serves the default context along', function()
    local ctx, port = pair.context(nil, echo)
    local ws = websockets.connect(url_of(port))
    expect_conversation(ctx, converse(ws))
    local fired = false
    ws:context():after(0.001, function() fired = true end)
    loop.serve_until(ctx, function() return fired end, 'a timer')
    ws:context():destroy()
  end)

  it('serves a default context that was there before', function()
    local port = loop.free_port()
    local ws = websockets.connect(url_of(port))
    local _, ended
    ws:on_closed(function(_, _, _, failure) ended = failure.kind end)
    local ctx = pair.context()
    loop.serve_until(ctx, function() return ended end)
    assert.equal('refused', ended)
    ws:context():destroy()
  end)

  it('raises errors at the line of its caller', function()
    local ok, message = pcall(function()
      local ws = loop.other.connect 'x'
      return ws
    end)
    assert.is_false(ok)
    assert.matches('spec/support/adapter.lua:%d+: websocket could not connect: ', message)
    leaks.collect()
  end)

  it('lets the loop end when there is nothing left to wait for', function()
    local run = ({ luv = "require('luv').run()", ev = "require('ev').Loop.default:loop()" })[name]
    if not run then return end
    assert.equal('1006\nended\n', script.run(([[
      require 'spec.support.loops.%s'
      local ws = require('websockets.%s').connect 'ws://127.0.0.1:%d/'
      ws:on_closed(function(_, code) print(code) end)
      %s
      print 'ended'
    ]]):format(name, name, loop.free_port(), run)))
  end)
end

local function describe_process(name)
  it('needs no word at the end of a program', function()
    assert.equal('running\n', script.run(([[
      require('spec.support.loop').use '%s'
      local pair = require 'spec.support.pair'
      client, ws, context = pair.open()
      print 'running'
    ]]):format(name)))
  end)

  it('is rid of a context that a forked process serves', function()
    assert.equal('from the child\n', script.run(([[
      local loop = require 'spec.support.loop'
      loop.use '%s'
      local client = require 'spec.support.client'
      local ctx, port = require('spec.support.pair').context(nil, function(ws)
        ws:on_receive(function() ws:write 'from the child' end)
      end)
      assert(ctx:fork_service_loop() == 0)
      for _ = 1, 3 do loop.other.step(0) end
      local c = client.open({}, port, 'p')
      c:text 'x'
      print(c:expect_text())
      ctx:destroy()
    ]]):format(name)))
  end)
end

-- Describes the adapter for `name`, which needs the package.
return function(name, package)
  busted.describe('websockets.' .. name .. ' #pollfd', function()
    if not pcall(require, package) then
      busted.pending('needs ' .. package)
      return
    end
    loop.use(name)
    leaks.check_each(busted.before_each, busted.after_each)
    assert.is_function(require('websockets.' .. name).context)

    describe_service()
    describe_end()
    describe_clients(name)
    describe_process(name)
    waiting()
  end)
end
