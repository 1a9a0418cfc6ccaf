-- SPDX-License-Identifier: MIT
-- The library's own loop: context:service. (How other loops serve a context is in other files.)
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local socket = require 'socket'

describe('service', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local function counting(config)
    local count = 0
    local c, ws, ctx, port = pair.open(config, function(ws)
      ws:on_receive(function() count = count + 1 end)
    end)
    return c, ctx, function() return count end, ws, port
  end

  it('returns 0, whether or not there was something to do', function()
    local c, ctx, count = counting()
    assert.equal(0, ctx:service())
    assert.equal(0, ctx:service(0))
    assert.equal(0, ctx:service(nil))
    c:text 'x'
    assert.equal(0, ctx:service(0))
    loop.serve_until(ctx, function() return count() == 1 end)
    assert.equal(1, select('#', ctx:service(0)))
  end)

  it('does not wait with 0', function()
    local ctx = pair.context()
    for _ = 1, 10000 do
      ctx:service(0)
    end
  end)

  it('waits for the time given, a part of a millisecond too, when nothing happens', function()
    local ctx = pair.context()
    local start = socket.gettime()
    for _ = 1, 20 do
      assert.equal(0, ctx:service(0.25))
    end
    assert.is_true(socket.gettime() - start >= 0.005)
  end)

  -- Each of these would hang, or wait for a day, if service did not return once something was served.
  for _, timeout in ipairs { -1, -0.5, -1e9, 86400e3, 1e18, math.huge, -math.huge } do
    it('returns as soon as something was served: ' .. timeout, function()
      local c, ctx, count = counting()
      loop.step(ctx, 0)
      c:text 'x'
      while count() == 0 do
        assert.equal(0, ctx:service(timeout))
      end
    end)
  end

  it('serves everything that is outstanding', function()
    local ctx, port
    local count = 0
    ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function() count = count + 1 end)
    end)
    local clients = {}
    for i = 1, 50 do
      clients[i] = client.open(ctx, port, 'p')
    end
    for _, c in ipairs(clients) do
      c:send_some(client.frame(client.TEXT, 'one') .. client.frame(client.TEXT, 'two'))
    end
    ctx:service(0)
    assert.equal(100, count)
  end)

  it('lets its own timers fire while it waits', function()
    local closed
    local c, ws, ctx = pair.open({ close_timeout = 0.05 }, function(ws)
      ws:on_closed(function(_, code) closed = code end)
    end)
    ws:write('', require('websockets').WRITE_CLOSE)
    while not closed do
      ctx:service(-1)
    end
    assert.equal(1006, closed)
    c:read_all()
  end)

  it('takes a number only', function()
    local ctx = pair.context()
    for _, timeout in ipairs { 'x', true, {}, 0 / 0 } do
      assert.has_error(function() ctx:service(timeout) end)
    end
  end)

  -- More than one look at what is ready can tell of, and than select() can watch one by one.
  if loop.mode ~= 'per-fd' then describe('with many clients', function()
    local client_count = 550

    local function open_many(on_receive)
      local clients = {}
      local ctx, port
      ctx, port = pair.context(nil, function(ws)
        ws:on_receive(function(_, data) on_receive(ctx, clients[tonumber(data)], data) end)
      end)
      for i = 1, client_count do
        clients[i] = client.open(ctx, port, 'p')
      end
      for i = 1, client_count do
        clients[i]:send_some(client.frame(client.TEXT, tostring(i)))
      end
      return ctx
    end

    it('returns although all of them send again and again', function()
      local received = 0
      local ctx = open_many(function(_, c, data)
        received = received + 1
        if received < 20 * client_count then c:send_some(client.frame(client.TEXT, data)) end
      end)
      loop.step(ctx, 0)
      assert.is_true(received <= 3 * client_count, 'received: ' .. received)
    end)

    it('lets a callback ask for the descriptor of the loop #pollfd', function()
      local received = 0
      local ctx = open_many(function(ctx)
        received = received + 1
        if received == 1 then assert(ctx:pollfd()) end
      end)
      loop.serve_until(ctx, function() return received == client_count end)
    end)
  end) end

  it('can be called in a callback, to serve the others', function()
    local log = {}
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data)
        log[#log + 1] = 'begin ' .. data
        if data == 'outer' then
          local d = client.open(ctx, port, 'p')
          d:text 'inner'
          loop.serve_until(ctx, function() return log[#log] == 'end inner' end)
        end
        log[#log + 1] = 'end ' .. data
      end)
    end)
    local c = client.open(ctx, port, 'p')
    c:text 'outer'
    c:expect_nothing()
    assert.same({ 'begin outer', 'begin inner', 'end inner', 'end outer' }, log)
  end)

  it('in a callback does not deliver to the same websocket, nothing is lost', function()
    local log = {}
    local c, _, ctx
    c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data)
        log[#log + 1] = 'begin ' .. data
        if data == '1' then c:send_some(client.frame(client.TEXT, '3')) end
        for _ = 1, 5 do
          loop.step(ctx, 1)
        end
        log[#log + 1] = 'end ' .. data
      end)
    end)
    c:send_some(client.frame(client.TEXT, '1') .. client.frame(client.TEXT, '2'))
    loop.serve_until(ctx, function() return #log == 6 end)
    assert.same({ 'begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3' }, log)
  end)

  it('in a callback delivers what others have sent at the same time', function()
    local got, clients, depth = {}, {}, 0
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data)
        got[#got + 1] = data
        depth = depth + 1
        if depth == 1 then
          loop.serve_until(ctx, function() return #got == #clients end)
        end
        depth = depth - 1
      end)
    end)
    for i = 1, 40 do
      clients[i] = client.open(ctx, port, 'p')
    end
    for i, c in ipairs(clients) do
      c:send_some(client.frame(client.TEXT, tostring(i)))
    end
    loop.serve_until(ctx, function() return #got == #clients and depth == 0 end)
    table.sort(got, function(a, b) return tonumber(a) < tonumber(b) end)
    for i = 1, #clients do
      assert.equal(tostring(i), got[i])
    end
  end)

  it('in a callback delivers what was held back for others', function()
    local got, sockets, clients = {}, {}, {}
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      local number = #sockets + 1
      sockets[number] = ws
      ws:on_receive(function(_, data)
        got[#got + 1] = number .. data
        if data == 'a' then return ws:rx_flow_control(false) end
        for _ = 1, number == 1 and 200 or 0 do
          if #got == 4 then break end
          ctx:service(10)
        end
        assert(#got == 4, 'the other message has not come')
      end)
    end)
    for i = 1, 2 do
      clients[i] = client.open(ctx, port, 'p')
      clients[i]:send(client.frame(client.TEXT, 'a') .. client.frame(client.TEXT, 'b'))
    end
    loop.serve_until(ctx, function() return #got == 2 end)
    sockets[1]:rx_flow_control(true)
    sockets[2]:rx_flow_control(true)
    loop.serve_until(ctx, function() return #got == 4 end)
    assert.same({ '1b', '2b' }, { got[3], got[4] })
  end)

  it('in a callback sends what was written before', function()
    local c, _, ctx
    c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function()
        ws:write 'now'
        c:expect_text 'now'
        ws:write 'later'
      end)
    end)
    c:text 'go'
    loop.serve_until(ctx, function() return c:pump() end)
    c:expect_text 'later'
  end)

  it('nested deeper than Lua allows is an error in a callback, and no more', function()
    -- What on_error has no room on the C stack for goes to stderr.
    local output = script.run [[
      local client = require 'spec.support.client'
      local loop = require 'spec.support.loop'
      local pair = require 'spec.support.pair'
      local ctx, port, depth, deepest = nil, nil, 0, 0
      ctx, port = pair.context({ on_error = function() end }, function(ws)
        ws:on_receive(function()
          depth = depth + 1
          deepest = math.max(deepest, depth)
          loop.step(ctx, 0)
          depth = depth - 1
        end)
      end)
      local clients = {}
      for i = 1, 300 do
        clients[i] = client.open(ctx, port, 'p')
      end
      for _, c in ipairs(clients) do
        c:send_some(client.frame(client.TEXT, 'x'))
      end
      for _ = 1, 10 do
        loop.step(ctx, 0)
      end
      assert(deepest > 1)
      client.open(ctx, port, 'p'):expect_nothing()
      print 'survived'
    ]]
    assert.matches('survived\n$', output)
  end)

  it('is interrupted by a signal, so that Ctrl-C ends a server', function()
    local flag = os.tmpname()
    local path, command = script.write(([[
      local ctx = require('websockets').context { protocols = { p = print } }
      local ok, message = pcall(function()
        os.remove '%s'
        while true do ctx:service(-1) end
      end)
      print(ok, message)
    ]]):format(flag))
    -- Ctrl-C is what the interpreter has a handler for. It is sent once the process has gone to sleep.
    local pipe = io.popen(([[
      %s 2>&1 & pid=$!
      while [ -e %s ] && kill -0 $pid; do :; done
      until grep -q '^State:.[SZ]' /proc/$pid/status; do :; done
      kill -INT $pid
      wait $pid
    ]]):format(command, flag))
    local output = pipe:read '*a'
    pipe:close()
    os.remove(path)
    os.remove(flag)
    assert.matches('^false.*interrupted!', output)
  end)
end)
