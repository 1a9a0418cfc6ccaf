-- SPDX-License-Identifier: MIT
-- What becomes of a websocket whose peer has fallen silent.
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local tls = require 'spec.support.tls'

-- What comes and goes is served meanwhile, and takes a part of it.
local short_s = loop.time_factor > 1 and 0.2 or 0.05

describe('idle_timeout', function()
  require('spec.support.leaks').check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- A context, its port, and the events of on_closed as 'code:reason', by the word that the client said first.
  local function open_context(config)
    config.ping_interval = config.ping_interval or 0
    local closed = {}
    local ctx, port = pair.context(config, function(ws)
      local name
      ws:on_receive(function(_, data)
        if not name then ws:write 'welcome' end
        name = name or data
      end)
      ws:on_closed(function(_, code, reason) closed[name or 'silent'] = code .. ':' .. reason end)
    end)
    return ctx, port, closed
  end

  local function open(ctx, port, name, options)
    local c = client.open(ctx, port, options or 'p')
    c:text(name)
    c:expect_text 'welcome'
    return c
  end

  local verdict = '1001:nothing was received for too long'

  it('closes a websocket from which nothing comes', function()
    local ctx, port, closed = open_context { idle_timeout = short_s }
    local c = client.open(ctx, port, 'p')
    c:expect_close(1001, 'nothing was received for too long')
    assert.same({ silent = verdict }, closed)
    c:send_close(1001)
    c:expect_end()
  end)

  it('of less than a millisecond is not off', function()
    local ctx, port = open_context { idle_timeout = 1e-9 }
    client.open(ctx, port, 'p'):expect_close(1001, 'nothing was received for too long')
  end)

  it('drops it when it does not answer', function()
    local ctx, port = open_context { idle_timeout = short_s, close_timeout = short_s }
    local c = client.open(ctx, port, 'p')
    c:expect_close(1001)
    c:expect_end()
  end)

  it('holds over TLS', function()
    local ctx, port, closed = open_context(tls.config { idle_timeout = short_s, close_timeout = short_s })
    local c = open(ctx, port, 'tls', { protocol = 'p', tls = {} })
    c:expect_close(1001)
    assert.same({ tls = verdict }, closed)
    c:expect_end()
  end)

  it('is not refreshed by what is sent', function()
    local ctx, port, closed = open_context { idle_timeout = short_s, max_backpressure = 1e6 }
    local c = open(ctx, port, 'reader')
    loop.serve_until(ctx, function()
      ctx:broadcast('p', 'to who says nothing')
      c:pump()
      return closed.reader
    end, 'the end of a client that only reads')
    assert.equal(verdict, closed.reader)
  end)

  -- Those that are silent come and go meanwhile. Where the machine itself was silent for long, once more with more time.
  local function outlives_three(config, keep_alive, options)
    local ctx, port, closed = open_context(config)
    local c = open(ctx, port, 'alive', options)
    local longest_s = 0
    for i = 1, 3 do
      local silent = open(ctx, port, 'silent ' .. i, options)
      longest_s = math.max(longest_s, loop.serve_until(ctx, function()
        keep_alive(c)
        return closed['silent ' .. i]
      end, 'the end of a silent client'))
      assert.equal(verdict, closed['silent ' .. i])
      silent:close()
    end
    if closed.alive and longest_s > config.idle_timeout / 2 then
      c:close()
      config.idle_timeout = 2 * config.idle_timeout
      return outlives_three(config, keep_alive, options)
    end
    assert.is_nil(closed.alive)
    loop.serve_until(ctx, function() return closed.alive end, 'the end of the other one')
    c:close()
  end

  it('is refreshed by every kind of message', function()
    for _, bytes in ipairs { client.frame(client.TEXT, 'x'), client.frame(client.PING), client.frame(client.PONG) } do
      outlives_three({ idle_timeout = short_s }, function(c)
        c:send(bytes)
        c:pump()
      end)
    end
  end)

  it('is refreshed by every byte of a message', function()
    local frame = client.frame(client.BINARY, '', { length = 2 ^ 24 })
    outlives_three({ idle_timeout = short_s }, function(c)
      c:send(c.has_begun and 'x' or frame)
      c.has_begun = true
    end)
  end)

  it('is refreshed over TLS', function()
    outlives_three(tls.config { idle_timeout = short_s }, function(c) c:text 'x' end, { protocol = 'p', tls = {} })
  end)

  it('stands still while flow control is off', function()
    local first, closed = nil, {}
    local ctx, port = pair.context({ idle_timeout = short_s, ping_interval = short_s / 2 }, function(ws)
      if not first then
        first = ws
        ws:rx_flow_control(false)
      end
      ws:on_closed(function(_, code) closed[ws == first and 'first' or 'other'] = code end)
    end)
    local c = client.open(ctx, port, 'p')
    for _ = 1, 3 do
      closed.other = nil
      client.open(ctx, port, 'p')
      loop.serve_until(ctx, function() return closed.other end, 'the end of another one')
    end
    assert.is_nil(closed.first)
    c:pump()
    assert.equal('', c:buffer()) -- no ping, either
    first:rx_flow_control(true)
    loop.serve_until(ctx, function() return closed.first end, 'the end of the first one')
    assert.equal(1001, closed.first)
    first = nil
  end)

  it('does not run while its own callback serves the others, as nothing is received then', function()
    local ctx, port, first
    local closed, is_served = {}, false
    ctx, port = pair.context({ idle_timeout = short_s, ping_interval = 0 }, function(ws)
      first = first or ws
      ws:on_closed(function(_, code) closed[ws == first and 'first' or 'other'] = code end)
      ws:on_receive(function()
        for _ = 1, 3 do
          closed.other = nil
          client.open(ctx, port, 'p')
          loop.serve_until({}, function()
            ctx:service(0)
            return closed.other
          end, 'the end of another one')
        end
        is_served = closed.first == nil
      end)
    end)
    client.open(ctx, port, 'p'):text 'serve the others'
    loop.serve_until(ctx, function() return closed.first end, 'the end of the first one')
    assert.is_true(is_served)
    first = nil
  end)

  it('counts what has arrived, also when it was not received yet', function()
    local ctx, port, closed = open_context { idle_timeout = short_s }
    local c = open(ctx, port, 'heard')
    for _ = 1, 3 do
      c:ping 'x'
      socket.select(nil, nil, 2 * short_s) -- nobody is served
      c:expect_frame(client.PONG, 'x')
    end
    assert.same({}, closed)
  end)

  it('counts what has arrived of a large message, which is received when the others have had their turn', function()
    local ctx, port, closed = open_context { idle_timeout = short_s }
    local c = client.open(ctx, port, 'p')
    local bytes, position = client.frame(client.BINARY, ('x'):rep(8e6)), 1
    repeat
      -- There is always something that has arrived.
      if position <= #bytes then position = position + assert(c:send_some(bytes, position)) end
      socket.select(nil, nil, 2 * short_s) -- nobody is served
      loop.step(ctx)
      assert.is_nil(closed.silent) -- what comes after the message is another matter
    until c:pump()
    c:expect_text 'welcome'
  end)

  it('does not count while what was received waits for its turn', function()
    local taken, closed = 0, nil
    local c, _, ctx = pair.open({ idle_timeout = short_s, ping_interval = 0 }, function(ws)
      ws:on_receive(function() taken = taken + 1 end)
      ws:on_closed(function() closed = taken end)
    end)
    local count = 3000
    c:send(client.frame(client.BINARY, 'message'):rep(count))
    loop.serve_until(ctx, function() return taken > 0 end)
    assert.is_true(taken < count)
    while taken < count do
      socket.select(nil, nil, 2 * short_s) -- nobody is served
      loop.step(ctx)
      assert.is_true(not closed or closed == count)
    end
    c:reset()
  end)

  it('of 0 is off', function()
    local ctx, port, closed = open_context { idle_timeout = 0, handshake_timeout = short_s }
    local c = open(ctx, port, 'patient')
    client.connect(ctx, port):expect_loss()
    assert.same({}, closed)
    c:finish(1000)
  end)

  it('ends when the websocket is closed', function()
    local events = {}
    local c, ws, ctx, port = pair.open({ idle_timeout = short_s, ping_interval = 0 }, function(ws)
      ws:on_closed(function(_, code) events[#events + 1] = code end)
    end)
    ws:close(1000)
    client.open(ctx, port, 'p'):expect_close(1001)
    assert.same({ 1000, 1001 }, events)
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
  end)
end)
