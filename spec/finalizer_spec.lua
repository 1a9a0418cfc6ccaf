-- SPDX-License-Identifier: MIT
-- Finalizers may do anything, and any function that makes something may run them.
local client = require 'spec.support.client'
local collector = require 'spec.support.collector'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local websockets = require 'websockets'

-- An object that calls `finalize` when it is collected.
local function finalized(finalize)
  local proxy = newproxy and newproxy(true) or {}
  local metatable = newproxy and getmetatable(proxy) or {}
  metatable.__gc = finalize
  return newproxy and proxy or setmetatable(proxy, metatable)
end

-- So deep in the stack that nothing of it is left where the collector looks.
local function finalize_deeply(finalize, depth)
  if depth == 0 then
    finalized(finalize)
  else
    finalize_deeply(finalize, depth - 1)
  end
  return nil
end

-- Has each of the next n things that are made run a whole cycle of the collector, the last of which calls `finalize`.
-- Returns what calls it off.
local function collect_nth(n, finalize)
  local function count_down()
    n = n - 1
    if n == 0 then
      collector.be_usual()
      finalize()
    end
    if n <= 0 then return end
    finalize_deeply(count_down, 20)
  end
  collectgarbage()
  collectgarbage 'stop'
  finalize_deeply(count_down, 20)
  collector.be_eager(n == 1)
  collectgarbage 'restart'
  return function() n, finalize = 0, nil end
end

local function collect_next(finalize) collect_nth(1, finalize) end

describe('a finalizer', function()
  leaks.check_each(before_each, after_each)
  after_each(collector.be_usual)

  local function deferred_upgrade()
    local waiting = {}
    local ctx, port = pair.context { on_upgrade = function(request)
      waiting[1] = request
      return request:defer()
    end }
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    loop.serve_until(ctx, function() return waiting[1] end, 'the request')
    return waiting[1], ctx
  end

  it('may end the connection whose request is being accepted', function()
    local request, ctx = deferred_upgrade()
    collect_next(function() ctx:destroy() end)
    local ok, why = request:accept()
    -- Lua 5.2 looks whether it is time before it makes something, not behind it: the finalizer may run later there.
    if _VERSION == 'Lua 5.2' and ok then return end
    assert.same({ nil, 'closed' }, { ok, why })
  end)

  it('may end the connection whose request is being made', function()
    local c, waiting, ctx = http.open_deferred()
    c:send(http.request '/')
    local ws = http.await(c, waiting)
    collect_next(function() ctx:destroy() end)
    local request = ws:request()
    assert.is_nil(request)
    assert.is_nil(ws:request())
  end)

  it('may answer a request that on_upgrade has just answered', function()
    local answer
    local ctx, port = pair.context { on_upgrade = function(request)
      local headers = { ['X-Own'] = 'value' }
      collect_next(function() answer = { request:accept() } end)
      return true, headers
    end }
    local c = client.connect(ctx, port)
    local status, headers = c:handshake { protocol = 'p' }
    assert.equal(101, status)
    -- Lua 5.1 collects before on_upgrade has returned: then accept was first.
    assert.same(headers['x-own'] and { nil, 'already answered' } or { true }, answer)
    c:finish(1000)
  end)

  it('may want a file of a folder that was collected', function()
    local output = script.run [[
      local http = require 'spec.support.http'
      local loop = require 'spec.support.loop'
      local static
      local results
      c, ctx = http.open(function(ws, uri) results = { pcall(static, ws, uri) } end)
      local function use()
        c:send(http.request '/')
        loop.serve_until(ctx, function() return results end, 'the request')
        print(results[1], results[2])
      end
      -- Finalizers run in the opposite order.
      local proxy = newproxy and newproxy(true) or {}
      local metatable = newproxy and getmetatable(proxy) or {}
      metatable.__gc = use
      kept = newproxy and proxy or setmetatable(proxy, metatable)
      static = require('websockets').static '.'
    ]]
    assert.equal('false\twebsocket could not serve a folder: it was collected\n', output)
  end)

  local large = ('x'):rep(10000)

  -- By the method that tells of them: what the client sends, and the call that leads to the event.
  local function serve(ctx) ctx:service(0) end
  local text = client.frame(client.TEXT, ('x'):rep(1000)):rep(3)
  local events = {
    on_receive = { text, serve },
    on_receive_chunk = { text, serve },
    on_broadcast = { nil, function(ctx) ctx:broadcast('p', large) end },
    on_pong = { client.frame(client.PONG, ('x'):rep(100)):rep(3), serve },
  }

  for name, event in pairs(events) do
    it('may close a websocket that is about to get an event: no ' .. name .. ' comes after on_closed', function()
      local times_closed = 0
      for n = 1, 6 do
        local log = {}
        local c, ws, ctx = pair.open()
        ws[name](ws, function() log[#log + 1] = 'event' end)
        ws:on_closed(function() log[#log + 1] = 'closed' end)
        if event[1] then c:send_some(event[1]) end
        local call_off = collect_nth(n, function() ws:close() end)
        event[2](ctx)
        call_off()
        collector.be_usual()
        for i, what in ipairs(log) do
          if what == 'closed' then
            times_closed = times_closed + 1
            assert.equal(i, #log)
          end
        end
        ctx:destroy()
        client.close_all()
      end
      assert.is_true(times_closed > 0)
    end)
  end

  it('may end a connection that is about to become a websocket: its function is not called', function()
    local times_ended = 0
    for n = 1, 6 do
      local has_ended, is_called, is_late = false, false, false
      -- Not by loop.context(), which puts functions of its own in front of it that may have it collected.
      local port = loop.free_port()
      local ctx = websockets.context {
        listen = { '127.0.0.1:' .. port },
        keep_request = true,
        protocols = { p = function() is_called, is_late = true, has_ended end },
      }
      client.connect(ctx, port):send_some(client.request { protocol = 'p' })
      ctx:service(1000) -- accepts it
      local call_off = collect_nth(n, function()
        if not is_called then times_ended = times_ended + 1 end
        has_ended = true
        ctx:destroy()
      end)
      for _ = 1, 3 do
        if not has_ended and not is_called then ctx:service(100) end
      end
      call_off()
      collector.be_usual()
      ctx:destroy()
      client.close_all()
      assert.is_false(is_late)
    end
    assert.is_true(times_ended > 0)
  end)

  -- --- At each thing that a function makes ---

  local handler = websockets.static 'spec/support'

  -- Each is called with a context, a websocket, and one that waits for an answer.
  local calls = {
    write = function(_, ws) ws:write(large) end,
    subscribe = function(_, ws) ws:subscribe 'new' end,
    topics = function(ctx, ws) return ctx:topics(), ws:topics() end,
    publish = function(ctx, ws) return ctx:publish('topic', large), ws:publish('topic', 'x') end,
    broadcast = function(ctx) ctx:broadcast('p', 'x') end,
    after = function(ctx) ctx:after(0, print) end,
    every = function(ctx) ctx:every(60, print) end,
    stats = function(ctx) return ctx:stats(), ctx:metrics() end,
    addresses = function(ctx) return ctx:addresses(), ctx:canonical_hostname() end,
    batch = function(ctx, ws) ctx:batch(function() ws:write(large) end) end,
    peer = function(_, ws) return ws:get_peer_addresses(), tostring(ws) end,
    fields = function(_, ws) ws.name = {} end,
    setters = function(_, ws)
      ws:on_receive(function() end)
      ws:on_server_writeable(function() end)
    end,
    respond = function(_, _, waiting) waiting:respond(200, { ['X-Own'] = { 'one', 'two' } }, large) end,
    file = function(_, _, waiting) waiting:serve_http_file('spec/support/pair.lua', 'text/plain') end,
    static = function(_, _, waiting) handler(waiting, '/pair.lua') end,
    request = function(_, _, waiting)
      local request = waiting:request()
      return request.headers, request.query, request.path, request.cookies
    end,
    service = function(ctx)
      for _ = 1, 3 do
        ctx:service(0)
      end
    end,
    shutdown = function(ctx) ctx:shutdown(10, 4000, 'reason') end,
  }

  -- A context for them, what it has of websockets, and how often on_closed was called: number of websocket -> times.
  -- There is a message to be received still, and a client to be accepted.
  local function open()
    local closed, count = {}, 0
    local waiting, opened
    local ctx, port = pair.context({
      on_error = function() closed.is_unknown = true end, -- of a finalizer, in place of what was to be called
      on_http = function(ws)
        waiting = ws
        ws:defer()
      end,
    }, function(ws)
      opened, count = ws, count + 1
      local number = count
      ws:on_closed(function() closed[number] = (closed[number] or 0) + 1 end)
      ws:subscribe 'topic'
      ws:on_receive(function(_, data) ws:write(data .. large) end)
      ws:on_broadcast(function(_, data) ws:write(data .. large) end)
    end)
    local c, d = client.open(ctx, port, 'p'), client.connect(ctx, port)
    d:send(http.request '/path?name=value')
    loop.serve_until(ctx, function() return waiting and opened end, 'both')
    c:send_some(client.frame(client.TEXT, 'x'):rep(2))
    client.connect(ctx, port):send_some(client.request { protocol = 'p' })
    local both = { opened, waiting }
    opened, waiting = nil, nil
    return ctx, both[1], both[2], closed
  end

  local actions = {
    ['destroy the context'] = { 4, function(ctx) ctx:destroy() end },
    ['close everything'] = { 2, function(_, ws, waiting)
      ws:close()
      waiting:terminate()
    end },
    ['serve'] = { 2, function(ctx) ctx:service(0) end },
  }
  -- LuaJIT 2.1.0-beta3 itself crashes now and then when a finalizer raises.
  if not rawget(_G, 'jit') then actions['raise an error'] = { 3, function() error 'deliberate' end } end

  for what, action in pairs(actions) do
    it('may ' .. what .. ' at any time', function()
      for _, call in pairs(calls) do
        for n = 1, action[1] do
          local ctx, ws, waiting, closed = open()
          local is_called = false
          local function call_now(...)
            is_called = true
            return call(...)
          end
          local call_off = collect_nth(n, function()
            if is_called and not loop.is_destroyed(ctx) then action[2](ctx, ws, waiting) end
          end)
          pcall(call_now, ctx, ws, waiting) -- it may find the context destroyed, or raise what the finalizer has raised
          is_called = false
          call_off()
          collector.be_usual()
          ctx:destroy()
          assert.is_true(closed[1] == 1 or closed.is_unknown)
          assert.is_true(closed[2] == nil or closed[2] == 1) -- it may have ended before it had an on_closed
          client.close_all()
        end
      end
    end)
  end
end)
