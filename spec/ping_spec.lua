-- SPDX-License-Identifier: MIT
-- ws:ping and ws:on_pong. Pings of the library's own: ping_interval_spec.lua.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

describe('ws:ping', function()
  leaks.check_each(before_each, after_each)

  -- A client, its websocket, and the list of the pongs that on_pong is told of.
  local function open(config, setup)
    local pongs = {}
    local c, ws, ctx = pair.open(config, function(ws)
      ws:on_pong(function(same, data, seconds)
        assert(rawequal(ws, same))
        pongs[#pongs + 1] = { data = data, seconds = seconds }
      end)
      if setup then setup(ws) end
    end)
    return c, ws, pongs, ctx
  end

  local function expect_ping(c, data)
    local frame = c:receive_frame()
    assert.equal(client.PING, frame.opcode)
    assert.equal(data, frame.payload)
  end

  local function wait_for(c, pongs, count)
    loop.serve_until(c.ctx, function() return #pongs == count end)
  end

  it('sends a ping, whose pong tells how long it took', function()
    local c, ws, pongs = open()
    for i, data in ipairs { '', 'x', ('y'):rep(125), '\0\255' } do
      local status, why = ws:ping(data)
      assert.equal(0, status)
      assert.is_nil(why)
      expect_ping(c, data)
      c:send(client.frame(client.PONG, data))
      wait_for(c, pongs, i)
      assert.equal(data, pongs[i].data)
      assert.is_true(pongs[i].seconds >= 0 and pongs[i].seconds < 60)
    end
    assert.equal(0, (ws:ping()))
    expect_ping(c, '')
    assert.equal(0, (ws:ping(7)))
    expect_ping(c, '7')
  end)

  it('measures from when it was sent', function()
    local c, ws, pongs, ctx = open()
    local waited
    ws:ping 'x'
    expect_ping(c, 'x')
    ctx:after(0.02, function() waited = true end)
    loop.serve_until(ctx, function() return waited end)
    c:send(client.frame(client.PONG, 'x'))
    wait_for(c, pongs, 1)
    assert.is_true(pongs[1].seconds >= 0.02)
  end)

  it('tells pongs that answer none of them without a time', function()
    local c, ws, pongs = open()
    c:send(client.frame(client.PONG, 'unasked') .. client.frame(client.PONG, ''))
    wait_for(c, pongs, 2)
    assert.same({ { data = 'unasked' }, { data = '' } }, pongs)
    ws:ping 'one'
    ws:ping 'two'
    expect_ping(c, 'one')
    expect_ping(c, 'two')
    c:send(client.frame(client.PONG, 'two') .. client.frame(client.PONG, 'one')) -- the answer to two is for both
    wait_for(c, pongs, 4)
    assert.is_number(pongs[3].seconds)
    assert.is_nil(pongs[4].seconds)
  end)

  it('comes within a message in fragments, both ways', function()
    local got
    local c, ws, pongs = open(nil, function(ws)
      ws:on_receive(function(_, data) got = data end)
    end)
    ws:write('a', 1 + 64)
    ws:ping 'x'
    ws:write('b', 2)
    assert.equal('a', c:receive_frame().payload)
    expect_ping(c, 'x')
    assert.equal('b', c:receive_frame().payload)
    c:send(client.frame(client.TEXT, 'a', { fin = false }) .. client.frame(client.PONG, 'x') ..
      client.frame(client.CONTINUATION, 'b'))
    loop.serve_until(c.ctx, function() return got end)
    assert.equal('ab', got)
    assert.equal('x', pongs[1].data)
  end)

  it('needs no on_pong, which may be set later, and again', function()
    local c, ws = pair.open()
    ws:ping 'x'
    expect_ping(c, 'x')
    c:send(client.frame(client.PONG, 'x'))
    loop.step(c.ctx, 10)
    local told = {}
    ws:on_pong(function() told[#told + 1] = 'first' end)
    ws:on_pong(function(_, _, seconds) told[#told + 1] = seconds end)
    ws:ping 'y'
    expect_ping(c, 'y')
    c:send(client.frame(client.PONG, 'y'))
    loop.serve_until(c.ctx, function() return #told > 0 end)
    assert.is_number(told[1])
    assert.has_error(function() ws:on_pong(nil) end)
  end)

  it('counts for max_backpressure, and may be refused', function()
    local _, ws = open { max_backpressure = 100000 }
    while ws:write(('x'):rep(50000)) == 0 do end
    local status, why
    repeat
      status, why = ws:ping(('y'):rep(125))
    until status ~= 0
    assert.same({ -1, 'queue full' }, { status, why })
  end)

  it('does nothing once the websocket is closed', function()
    local c, ws, pongs = open()
    ws:ping 'x'
    expect_ping(c, 'x')
    ws:close(1000)
    assert.same({ -1, 'closed' }, { ws:ping() })
    assert.equal(0, select('#', ws:on_pong(function() error 'not called' end)))
    c:send(client.frame(client.PONG, 'x'))
    c:finish(1000)
    assert.same({}, pongs)
  end)

  it('is for websockets, and for 125 bytes at most', function()
    local _, ws = open()
    assert.error_matches(function() ws:ping(('x'):rep(126)) end, 'a ping or pong has at most 125 bytes')
    assert.has_error(function() ws:ping {} end)
    local message
    local c = http.open(function(ws_of_http)
      message = select(2, pcall(ws_of_http.ping, ws_of_http))
      ws_of_http:respond(200, nil, 'x')
    end)
    c:send(http.request '/')
    c:read_response()
    assert.is_truthy(message:find('websocket ping is not for on_http', 1, true))
  end)

  it('may close the websocket, or fail, when it is answered', function()
    local c, ws = open()
    ws:on_pong(function() ws:close(4000) end)
    c:send(client.frame(client.PONG, '') .. client.frame(client.PONG, ''))
    c:expect_close(4000)
    local errors = {}
    local d, other = open { on_error = function(message, same) errors[#errors + 1] = { message, same } end }
    other:on_pong(function() error 'oops' end)
    d:send(client.frame(client.PONG, '') .. client.frame(client.PONG, ''))
    d:expect_close(1011)
    assert.equal(1, #errors)
    assert.is_truthy(errors[1][1]:find('oops', 1, true))
    assert.is_true(rawequal(other, errors[1][2]))
  end)

  it('keeps nothing when the websocket is gone', function()
    local weak = setmetatable({}, { __mode = 'v' })
    local ctx, port = pair.context(nil, function(ws)
      local object = {}
      weak[#weak + 1] = object
      ws:on_pong(function() return object end)
      ws:ping()
    end)
    for _ = 1, 3 do
      local c = client.open(ctx, port, 'p')
      expect_ping(c, '')
      c:finish(1000)
    end
    loop.serve_until(ctx, function()
      leaks.collect()
      return next(weak) == nil
    end)
  end)
end)
