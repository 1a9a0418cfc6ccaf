-- SPDX-License-Identifier: MIT
-- What one client can take of the others' time.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'

local megabyte = 2 ^ 20

describe('fairness', function()
  leaks.check_each(before_each, after_each)
  after_each(http.remove_files)

  -- Counts messages of one byte as those of others; of the rest what `weigh` says.
  local function counting(weigh, event)
    local counts = { taken = 0, others = 0 }
    return counts, function(ws)
      ws[event or 'on_receive'](ws, function(_, data)
        if #data == 1 then
          counts.others = counts.others + 1
        else
          counts.taken = counts.taken + weigh(data)
        end
      end)
    end
  end

  local function bytes_of(data) return #data end

  it('takes no more than a part of what a client has sent, then the others have their turn', function()
    local counts, setup = counting(bytes_of)
    local flooding, _, ctx, port = pair.open(nil, setup)
    local other = client.open(ctx, port, 'p')
    local frames = client.frame(client.BINARY, ('x'):rep(1000)):rep(4096)
    local sent = select(3, flooding.sock:send(frames)) or #frames -- as much as the system takes
    assert.is_true(sent > megabyte)
    other:text '1'
    repeat
      loop.step(ctx)
    until counts.taken > 0
    assert.is_true(counts.taken < megabyte / 2, ('%d of %d bytes at once'):format(counts.taken, sent))
    loop.serve_until(ctx, function() return counts.others == 1 end)
    assert.is_true(counts.taken < sent - 2000)
    loop.serve_until(ctx, function() return counts.taken > sent - 2100 - sent / 100 end)
    flooding:reset()
  end)

  local function takes_some_hundred(event)
    local counts, setup = counting(function() return 1 end, event)
    local flooding, _, ctx, port = pair.open(nil, setup)
    local frames = client.frame(client.BINARY, ('x'):rep(20)):rep(10000)
    local floods = { flooding }
    for i = 2, 5 do
      floods[i] = client.open(ctx, port, 'p')
    end
    local other = client.open(ctx, port, 'p')
    for _, each in ipairs(floods) do
      each.sock:send(frames) -- as much as the system takes
    end
    loop.serve_until(ctx, function() return counts.taken > 3000 end) -- each has had a turn
    for _ = 1, 5 do
      counts.taken, counts.others = 0, 0
      other:text '1'
      loop.serve_until(ctx, function() return counts.others == 1 end)
      assert.is_true(counts.taken < 1600, ('%d messages before the one of another client'):format(counts.taken))
    end
    for _, each in ipairs(floods) do
      each:reset()
    end
  end

  it('takes some hundred messages of a client at once, and of those with many more one client at a time', function()
    takes_some_hundred 'on_receive'
  end)

  it('does the same with messages in pieces', function()
    takes_some_hundred 'on_receive_chunk'
  end)

  it('answers a few requests of a client at once', function()
    local answered = 0
    local ctx, port = loop.context {
      protocols = { p = print },
      on_http = function(ws)
        answered = answered + 1
        ws:respond(204)
      end,
    }
    local asking = client.connect(ctx, port)
    local requests = ('GET / HTTP/1.1\r\nHost: h\r\n\r\n'):rep(1000)
    assert.equal(#requests, asking.sock:send(requests))
    local before
    repeat
      before = answered
      loop.step(ctx)
      assert.is_true(answered - before < 100, ('%d requests at once'):format(answered - before))
    until answered > 0 and answered == before
    loop.serve_until(ctx, function() return answered == 1000 end)
    asking:reset()
  end)

  -- 20 ask for much, and another client sends a message.
  local function begins_with_few(ctx, port, is_heard)
    local other = client.open(ctx, port, 'p')
    local asking = {}
    for i = 1, 20 do
      asking[i] = client.connect(ctx, port)
    end
    loop.serve_until(ctx, function() return ctx:stats().open_connections == 21 end)
    for _, each in ipairs(asking) do
      each:send 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'
    end
    other:text '1'
    loop.serve_until(ctx, is_heard)
    local sent = ctx:stats().sent_bytes
    assert.is_true(sent < 1.5 * megabyte, ('%d bytes at once'):format(sent))
    for _, each in ipairs(asking) do
      assert.equal(200, (each:read_response()))
    end
  end

  it('begins with a few large answers at once', function()
    local others = 0
    local page = ('x'):rep(2000000)
    local ctx, port = loop.context {
      protocols = {
        p = function(ws)
          ws:on_receive(function() others = others + 1 end)
        end,
      },
      on_http = function(ws)
        ws:respond(200, nil, page)
      end,
    }
    begins_with_few(ctx, port, function() return others == 1 end)
  end)

  it('begins with a few large files at once', function()
    local path = http.file(('x'):rep(2000000))
    local others = 0
    local ctx, port = loop.context {
      protocols = {
        p = function(ws)
          ws:on_receive(function() others = others + 1 end)
        end,
      },
      on_http = function(ws)
        ws:serve_http_file(path, 'text/plain')
      end,
    }
    begins_with_few(ctx, port, function() return others == 1 end)
  end)

  it('does not take it for slow who waits for a turn', function()
    local websockets = {}
    local config = { max_backpressure = megabyte }
    local first, _, ctx, port = pair.open(config, function(ws) websockets[#websockets + 1] = ws end)
    local clients = { first }
    for i = 2, 10 do
      clients[i] = client.open(ctx, port, 'p')
    end
    local message = ('x'):rep(400000)
    for _, ws in ipairs(websockets) do
      repeat
      until ws:write(message) ~= 0
    end
    loop.step(ctx)
    for _, each in ipairs(clients) do
      each.sock:settimeout(0)
      repeat
        local bytes = each.sock:receive(megabyte)
      until not bytes
    end
    loop.step(ctx)
    for _, ws in ipairs(websockets) do
      assert.equal(0, (ws:write(message)))
    end
    for _, each in ipairs(clients) do
      each:reset()
    end
  end)

  it('gives those their turns who wait for them when a callback runs the loop', function()
    local counts, opened, nested = { 0, 0 }, 0, nil
    local ctx
    local first, _, context, port = pair.open(nil, function(ws)
      opened = opened + 1
      local me = opened
      ws:on_receive(function()
        counts[me] = counts[me] + 1
        if me ~= 1 or counts[1] < 1000 or nested then return end
        nested = true
        local before = counts[2]
        loop.serve_until(ctx, function() return counts[2] > before end)
      end)
    end)
    ctx = context
    local second = client.open(ctx, port, 'p')
    local frames = client.frame(client.BINARY, ('x'):rep(20)):rep(8000)
    first.sock:send(frames)
    second.sock:send(frames)
    loop.serve_until(ctx, function() return counts[1] > 2000 end)
    first:reset()
    second:reset()
  end)

  it('goes on with held input when a callback allows it and runs the loop', function()
    local websockets, got, done = {}, '', nil
    local ctx
    local first, _, context, port = pair.open(nil, function(ws)
      websockets[#websockets + 1] = ws
      local me = #websockets
      ws:on_receive(function(_, data)
        if me == 2 then
          got = got .. data
          ws:rx_flow_control(data == 'b')
          return
        end
        websockets[2]:rx_flow_control(true)
        for _ = 1, 20 do -- it has something to do at once, else only when some timer is due
          if got ~= 'ab' then loop.step(ctx, 50) end
        end
        done = got
      end)
    end)
    ctx = context
    local second = client.open(ctx, port, 'p')
    second:send(client.frame(client.TEXT, 'a') .. client.frame(client.TEXT, 'b'))
    loop.serve_until(ctx, function() return got == 'a' end)
    for _ = 1, 10 do
      loop.step(ctx) -- nothing else is to be done meanwhile
    end
    first:text 'go'
    loop.serve_until(ctx, function() return done end)
    assert.equal('ab', done)
    first:reset()
    second:reset()
  end)

  it('leaves what a flood has sent in the kernel', function()
    local counts, setup = counting(function() return 1 end)
    local flooding, _, ctx = pair.open(nil, setup)
    flooding.sock:send(client.frame(client.BINARY, 'message'):rep(100000)) -- as much as the system takes
    loop.serve_until(ctx, function() return counts.taken > 30000 end) -- more than it took before it was known
    for _ = 1, 20 do
      local before = ctx:stats().received_bytes
      loop.step(ctx)
      assert.is_true(ctx:stats().received_bytes - before <= 65536)
    end
    flooding:reset()
  end)

  -- Rounds are the outer loop's elsewhere.
  if loop.mode == 'own' then
    local function open_many(count, ctx, port)
      local clients = {}
      for i = 1, count do
        clients[i] = client.open(ctx, port, 'p')
      end
      return clients
    end

    it('gives more turns in a round in which many others were served', function()
      local counts, setup = counting(function() return 1 end)
      local first, _, ctx, port = pair.open(nil, setup)
      local floods, others = open_many(3, ctx, port), open_many(130, ctx, port)
      for _, each in ipairs(floods) do
        each.sock:send(client.frame(client.BINARY, 'message'):rep(10000))
      end
      loop.serve_until(ctx, function() return counts.taken > 3000 end)
      counts.taken = 0
      loop.step(ctx)
      assert.is_true(counts.taken < 600, ('%d messages in a turn'):format(counts.taken))
      for _, each in ipairs(others) do
        each:text '1'
      end
      counts.taken = 0
      loop.step(ctx)
      assert.equal(130, counts.others)
      assert.is_true(counts.taken > 1200, ('%d messages in three turns'):format(counts.taken))
      first:reset()
      for _, each in ipairs(floods) do
        each:reset()
      end
    end)

    -- How many steps a context takes for the first request of several clients, who have sent it whole.
    local function steps_for(bytes, count)
      local answered = false
      local ctx, port = loop.context {
        protocols = { p = print },
        on_http = function(ws)
          answered = true
          ws:respond(204)
        end,
      }
      local clients = {}
      for i = 1, count do
        clients[i] = client.connect(ctx, port)
      end
      loop.serve_until(ctx, function() return ctx:stats().open_connections == count end)
      for _, each in ipairs(clients) do
        assert.equal(#bytes, each.sock:send(bytes))
      end
      local steps = 0
      repeat
        loop.step(ctx)
        steps = steps + 1
      until answered
      for _, each in ipairs(clients) do
        each:reset()
      end
      return steps
    end

    local head = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n'

    it('reads content in small chunks in many turns', function()
      local steps = steps_for(head .. ('1\r\nx\r\n'):rep(20000) .. '0\r\n\r\n', 3)
      assert.is_true(steps > 20, ('%d steps'):format(steps))
    end)

    it('reads content in large chunks in a few', function()
      local chunk = ('x'):rep(10000)
      local steps = steps_for(head .. ('2710\r\n' .. chunk .. '\r\n'):rep(12) .. '0\r\n\r\n', 3)
      assert.is_true(steps < 10, ('%d steps'):format(steps))
    end)

    it('takes little of each of many clients that begin to flood at once', function()
      local counts, setup = counting(function() return 1 end)
      local first, _, ctx, port = pair.open(nil, setup)
      local floods = open_many(20, ctx, port)
      for _, each in ipairs(floods) do
        each:send(client.frame(client.BINARY, ''):rep(340)) -- no more than is received by one call for all
      end
      loop.step(ctx)
      assert.is_true(counts.taken > 1000 and counts.taken < 4000, ('%d messages at once'):format(counts.taken))
      loop.serve_until(ctx, function() return counts.taken == 20 * 340 end)
      first:close()
    end)
  end

  it('sends no more than a part of what waits for a client at once', function()
    local c, ws, ctx = pair.open { max_backpressure = 32 * megabyte }
    local message = ('x'):rep(8000000)
    local count = 3
    for _ = 1, count do
      assert.equal(0, ws:write(message))
    end
    -- Makes room in the kernel for more than that part.
    local read = 0
    c.sock:settimeout(0)
    repeat
      local bytes, _, part = c.sock:receive(megabyte)
      read = read + #(bytes or part)
    until not bytes
    local waiting = ws:buffered_amount()
    assert.is_true(waiting > 4 * megabyte, ('%d bytes wait'):format(waiting))
    loop.serve_until(ctx, function() return ws:buffered_amount() < waiting end)
    local sent = waiting - ws:buffered_amount()
    assert.is_true(sent < 0.6 * megabyte, ('%d bytes at once'):format(sent))
    local all = count * (10 + #message)
    loop.serve_until(ctx, function()
      local bytes, _, part = c.sock:receive(megabyte)
      read = read + #(bytes or part)
      return read == all
    end)
  end)

  it('does not ask about a client whose message is being delivered', function()
    local c, ws, ctx, elapsed_s
    c, ws, ctx = pair.open(nil, function(opened)
      opened:on_receive(function(_, data)
        if data ~= 'first' then return end
        c:text 'second' -- which has to wait, and may be found once, but not again and again
        ctx:service(60)
        local started = socket.gettime()
        ctx:service(60)
        elapsed_s = socket.gettime() - started
      end)
    end)
    c:text 'first'
    loop.serve_until(ctx, function() return elapsed_s end)
    assert.is_true(elapsed_s > 0.05)
    ws:close()
  end)
end)
