-- SPDX-License-Identifier: MIT
-- What the garbage collector may take, and what it must not.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local socket = require 'socket'

describe('the collector', function()
  leaks.check_each(before_each, after_each)

  local function is_listening(port)
    local sock = socket.tcp()
    local connected = sock:connect('127.0.0.1', port)
    sock:close()
    return connected ~= nil
  end

  it('takes a context that nothing refers to, and its server stops', function()
    local port = select(2, pair.context())
    assert.is_true(is_listening(port))
    leaks.collect()
    assert.is_false(is_listening(port))
    assert.equal(0, loop.count_objects())
  end)

  it('takes a context with open websockets', function()
    local closed
    local c, ws, ctx, port = pair.open(nil, function(ws)
      ws:on_closed(function(_, code) closed = code end)
    end)
    c.ctx, ws, ctx = {}, nil, nil
    assert.is_nil(ws or ctx)
    leaks.collect()
    assert.equal(1001, closed)
    assert.is_false(is_listening(port))
    assert.equal(0, loop.count_objects())
    c:expect_close(1001)
    c:expect_end()
  end)

  it('takes what was kept for websockets that are closed', function()
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function() end)
      ws:on_closed(function() end)
    end)
    -- Every function and websocket that a context keeps has a place in this table.
    local kept = (debug.getuservalue or debug.getfenv)(ctx)
    local function last_place()
      local c, last = client.open(ctx, port, 'p'), 0
      for place in pairs(kept) do
        last = math.max(last, place)
      end
      c:finish(1000)
      return last
    end
    local last = last_place()
    for _ = 1, 20 do
      assert.equal(last, last_place())
    end
  end)

  it('takes cycles through callbacks', function()
    local function build()
      local ctx, port
      ctx, port = pair.context({ on_http = function() return ctx end, on_error = function() return ctx end },
        function(ws)
          ws:on_receive(function() return ws, ctx end)
          ws:on_receive_chunk(function() return ws, ctx end)
          ws:on_closed(function() return ws, ctx end)
          ws:on_broadcast(function() return ws, ctx end)
          ws:on_server_writeable(function() return ws, ctx end)
        end)
      local c, d = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
      c.ctx, d.ctx = {}, {}
      return port
    end
    local port = build()
    leaks.collect()
    assert.equal(0, loop.count_objects())
    assert.is_false(is_listening(port))
  end)

  it('takes websockets that are closed, while the context lives', function()
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function() return ws end)
      ws:on_closed(function() return ws end)
    end)
    for i = 1, 20 do
      local c = client.open(ctx, port, 'p')
      if i % 2 == 0 then
        c:finish(1000)
      else
        c:reset()
      end
    end
    loop.serve_until(ctx, function()
      leaks.collect()
      return loop.count_objects() == 1
    end)
    assert.is_true(is_listening(port))
  end)

  it('takes what callbacks that were replaced referred to', function()
    local weak = setmetatable({}, { __mode = 'v' })
    local c, ws = pair.open()
    local names = { 'on_receive', 'on_receive_chunk', 'on_closed', 'on_broadcast', 'on_server_writeable' }
    for _, name in ipairs(names) do
      local object = {}
      weak[name] = object
      ws[name](ws, function() return object end)
      ws[name](ws, function() end)
    end
    leaks.collect()
    assert.is_nil(next(weak))
    ws:on_broadcast(function() return c end)
    ws:on_broadcast(0)
  end)

  it('takes what the callbacks of a closed websocket referred to, though the websocket is kept', function()
    local weak = setmetatable({}, { __mode = 'v' })
    local c, ws, ctx = pair.open()
    do
      local object = {}
      weak[1] = object
      ws:on_receive(function() return object end)
    end
    c:finish(1000)
    leaks.collect()
    assert.is_nil(weak[1])
    assert.is_false(loop.is_destroyed(ctx))
    assert.equal(-1, (ws:write 'x'))
  end)

  it('takes a context although a closed websocket of it is kept', function()
    local c, ws = pair.open()
    ws:close(1000)
    c.ctx = {}
    leaks.collect()
    assert.equal(1, loop.count_objects())
    assert.equal(-1, (ws:write 'x'))
    c:expect_close(1000)
  end)

  it('leaves a context of which an open websocket is kept', function()
    local c, ws, ctx, port = pair.open()
    c.ctx, ctx = {}, nil
    assert.is_nil(ctx)
    leaks.collect()
    assert.is_true(is_listening(port))
    assert.equal(0, ws:write 'still here')
    c:expect_text 'still here'
    assert.equal(0, ws:broadcast 'and here')
    c:expect_text 'and here'
    ws:close(1000)
    ws = nil
    leaks.collect()
    assert.is_false(is_listening(port))
  end)

  it('leaves websockets that only the context knows', function()
    local events = {}
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(self, data) events[#events + 1] = data .. tostring(self == ws) end)
    end)
    local c = client.open(ctx, port, 'p')
    leaks.collect()
    c:text 'x'
    c:expect_nothing()
    assert.same({ 'xtrue' }, events)
  end)

  it('takes long strings once they were sent, also in a loop within a callback', function()
    for _, is_nested in ipairs { false, true } do
      local c, ws, ctx = pair.open()
      local function send_and_collect()
        leaks.collect()
        local before = collectgarbage 'count'
        for i = 1, 10 do
          ws:write(('x'):rep(1e6) .. i)
          assert.equal(1e6 + #tostring(i), #c:expect_frame(client.TEXT))
        end
        loop.step(ctx)
        leaks.collect()
        assert.is_true(collectgarbage 'count' - before < 1500)
      end
      if is_nested then
        ctx:batch(send_and_collect)
      else
        send_and_collect()
      end
    end
  end)

  it('does not collect a context while it serves', function()
    local log = {}
    local function build()
      local ctx, port
      ctx, port = pair.context(nil, function(ws)
        ws:on_receive(function()
          ctx = nil
          leaks.collect()
          log[#log + 1] = ws:write 'alive'
        end)
      end)
      local c = client.open(ctx, port, 'p')
      c.ctx = {}
      c:send_some(client.frame(client.TEXT, 'x'))
      return c, function() return ctx end
    end
    local c, get = build()
    loop.serve_until({}, function()
      if get() then loop.step(get(), 1) end
      return log[1]
    end)
    assert.same({ 0 }, log)
    c:expect_text 'alive'
    leaks.collect()
    c:expect_close(1001)
  end)

  it('may be asked to finalize by hand, even in a callback', function()
    local log = {}
    local c, ctx, _
    c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function()
        local finalize = debug.getmetatable(ctx).__gc
        finalize(ctx)
        finalize(ctx)
        log[#log + 1] = ws:write 'x'
      end)
    end)
    c:text 'x'
    c:expect_close(1001)
    assert.same({ -1 }, log)
    debug.getmetatable(ctx).__gc(ctx)
    ctx:destroy()
    assert.matches('destroyed', tostring(ctx))
  end)

  it('meets contexts that could not be made', function()
    local websockets = require 'websockets'
    for _ = 1, 20 do
      assert.has_error(function() websockets.context { protocols = { p = print }, port = -1 } end)
      assert.has_error(function()
        websockets.context { protocols = { p = print }, port = loop.free_port(), interf = 'nosuch0' }
      end)
    end
    leaks.collect()
  end)

  it('ends a program with everything reachable, and finalizers that use it', function()
    local output = script.run [[
      local pair = require 'spec.support.pair'
      kept = {}
      local function finalized(finalize)
        local proxy = newproxy and newproxy(true) or {}
        local metatable = newproxy and getmetatable(proxy) or {}
        metatable.__gc = finalize
        return newproxy and proxy or setmetatable(proxy, metatable)
      end
      local function use()
        for _, object in pairs(kept) do
          assert(type(tostring(object)) == 'string')
          pcall(function() object:write 'x' end)
          pcall(function() object:service(0) end)
          pcall(function() object:broadcast('p', 'x') end)
        end
      end
      first = finalized(use)
      for i = 1, 3 do
        local c, ws, ctx = pair.open(nil, function(ws)
          ws:on_closed(function() io.write('closed ', i, '\n') end)
        end)
        kept[#kept + 1] = ws
        kept[#kept + 1] = ctx
        clients = { c, clients }
      end
      last = finalized(use)
    ]]
    local lines = {}
    for line in output:gmatch '[^\n]+' do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({ 'closed 1', 'closed 2', 'closed 3' }, lines)
  end)
end)
