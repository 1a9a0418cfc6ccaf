-- SPDX-License-Identifier: MIT
-- context:websockets, and what a websocket tells of itself.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

describe('context:websockets', function()
  leaks.check_each(before_each, after_each)

  -- A context with the protocols p and q, whose websockets get a name, and clients with these names.
  local function open(names)
    local opened, clients = {}, {}
    local function take(ws) opened[#opened + 1] = ws end
    local ctx, port = loop.context { protocols = { p = take, q = take } }
    for i, name in ipairs(names) do
      clients[name] = client.open(ctx, port, name:sub(1, 1))
      opened[i].name = name
    end
    return ctx, port, clients
  end

  local function names_of(...)
    local names = {}
    for ws in ... do
      names[#names + 1] = ws.name
    end
    return table.concat(names, ' ')
  end

  it('gives each one that is open, of all protocols or of one', function()
    local ctx, port = open { 'p1', 'q1', 'p2' }
    local all = names_of(ctx:websockets())
    assert.is_true(all == 'p1 p2 q1' or all == 'q1 p1 p2', all)
    assert.equal('p1 p2', names_of(ctx:websockets 'p'))
    assert.equal('q1', names_of(ctx:websockets 'q'))
    client.connect(ctx, port) -- no websocket
    loop.step(ctx, 0)
    assert.equal('q1', names_of(ctx:websockets 'q'))
    assert.equal(all, names_of(ctx:websockets(nil)))
  end)

  it('gives none where there are none', function()
    local ctx = open {}
    assert.is_nil(ctx:websockets()())
    local next_one = open { 'p1' }:websockets()
    assert.equal('p1', next_one().name)
    assert.is_nil(next_one())
    assert.is_nil(next_one())
  end)

  it('leaves out what is closed meanwhile, and what opens', function()
    local ctx, port, clients = open { 'p1', 'p2', 'p3', 'p4' }
    local seen = {}
    for ws in ctx:websockets() do
      seen[#seen + 1] = ws.name
      if ws.name == 'p1' then
        for other in ctx:websockets 'p' do
          if other.name == 'p2' then other:close(1000) end
          if other.name == 'p4' then other:write('', 4) end -- begins to close
        end
        ws:terminate()
        client.open(ctx, port, 'p')
      end
    end
    assert.equal('p1 p3', table.concat(seen, ' '))
    clients.p2:expect_close(1000)
    clients.p4:expect_close()
  end)

  it('ends when the context is destroyed', function()
    local ctx = open { 'p1', 'p2' }
    local count = 0
    for _ in ctx:websockets() do
      count = count + 1
      ctx:destroy()
    end
    assert.equal(1, count)
    assert.error_matches(function() ctx:websockets() end, 'websocket context destroyed')
  end)

  it('counts those that are opening, and not those that have closed', function()
    local while_opening, while_closing
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      while_opening = ctx:websockets()() == ws
      ws:on_closed(function() while_closing = ctx:websockets()() end)
    end)
    client.open(ctx, port, 'p'):finish(1000)
    assert.is_true(while_opening)
    assert.is_nil(while_closing)
  end)

  it('refuses a protocol that there is not', function()
    local ctx = open {}
    assert.error_matches(function() ctx:websockets 'r' end, "websocket unknown protocol 'r'")
    assert.has_error(function() ctx:websockets(true) end)
    assert.error_matches(function() ctx:websockets { protocol = 'r' } end, "option 'protocol' is unknown")
  end)

  it('keeps nothing', function()
    local weak = setmetatable({}, { __mode = 'v' })
    local ctx, port = pair.context(nil, function(ws)
      ws.object = {}
      weak[#weak + 1] = ws.object
    end)
    for _ = 1, 3 do
      client.open(ctx, port, 'p'):finish(1000)
    end
    local last = client.open(ctx, port, 'p')
    for ws in ctx:websockets() do
      assert.is_table(ws.object)
    end
    last:finish(1000)
    loop.serve_until(ctx, function()
      leaks.collect()
      return next(weak) == nil
    end)
  end)
end)

describe('a websocket tells', function()
  leaks.check_each(before_each, after_each)

  it('its context, also when it is closed', function()
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_closed(function(same) assert(same:context() == ws:context()) end)
    end)
    assert.is_true(rawequal(ctx, ws:context()))
    ws.x = 1
    assert.is_true(rawequal(ctx, ws:context()))
    ws:close(1000)
    assert.is_true(rawequal(ctx, ws:context()))
    c:expect_close(1000)
    ctx:destroy()
    assert.is_true(rawequal(ctx, ws:context()))
  end)

  it('nil when that is collected, which it does not keep', function()
    local c, ws, ctx = pair.open()
    ws:terminate()
    c:expect_loss()
    c.ctx, ctx = {}, nil
    assert.is_nil(ctx)
    leaks.collect()
    leaks.collect()
    assert.is_nil(ws:context())
  end)

  it('its protocol, while it is open and in on_closed', function()
    local in_closed
    local ctx, port = loop.context { protocols = { p = print, ['chat.v2'] = function(ws)
      assert(ws:protocol() == 'chat.v2')
      ws:on_closed(function() in_closed = ws:protocol() end)
    end } }
    local c = client.open(ctx, port, 'chat.v2')
    local ws = ctx:websockets()()
    assert.equal('chat.v2', ws:protocol())
    c:finish(1000)
    assert.equal('chat.v2', in_closed)
    assert.is_nil(ws:protocol())
  end)

  it('its state', function()
    local c, ws = pair.open()
    assert.equal('open', ws:state())
    ws:write('', 4)
    assert.equal('closing', ws:state())
    c:expect_close()
    c:send_close()
    loop.serve_until(c.ctx, function() return ws:state() ~= 'closing' end)
    assert.equal('closed', ws:state())
  end)

  it('its state in on_http', function()
    local kept, state, protocol, context
    local c = http.open(function(ws)
      kept, state, protocol, context = ws, ws:state(), ws:protocol(), ws:context()
      ws:respond(200, nil, 'x')
    end)
    c:send(http.request '/')
    c:read_response()
    assert.equal('http', state)
    assert.is_nil(protocol)
    assert.equal('userdata', type(context))
    kept:terminate()
    assert.equal('closed', kept:state())
  end)

  it('these when it has fields of the same names, which hide them', function()
    local _, ws, ctx = pair.open()
    local context, protocol, state = ws.context, ws.protocol, ws.state
    ws.state, ws.context, ws.protocol = 'lobby', 'c', 'p2'
    assert.same({ 'lobby', 'c', 'p2' }, { ws.state, ws.context, ws.protocol })
    assert.is_true(rawequal(ctx, context(ws)))
    assert.same({ 'p', 'open' }, { protocol(ws), state(ws) })
  end)
end)
