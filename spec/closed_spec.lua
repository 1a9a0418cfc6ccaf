-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'

describe('on_closed', function()
  leaks.check_each(before_each, after_each)

  -- A client and the list of events 'code:reason', the websocket and the context.
  local function open(config)
    local events = {}
    local c, ws, ctx, port = pair.open(config, function(ws)
      ws:on_closed(function(self, code, reason)
        assert(self == ws)
        assert(math.floor(code) == code)
        local result, why = ws:write 'x'
        assert(result == -1 and why == 'closed')
        events[#events + 1] = code .. ':' .. reason
      end)
    end)
    return c, events, ws, ctx, port
  end

  -- Serves until there is an event, then a little more, so that a second one would come, too.
  local function expect_only(events, ctx, expected)
    loop.serve_until(ctx, function() return events[1] end, 'on_closed')
    for _ = 1, 5 do
      loop.step(ctx, 1)
    end
    if not loop.is_destroyed(ctx) then ctx:destroy() end
    assert.same({ expected }, events)
  end

  it('tells code and reason of the peer', function()
    local c, events, _, ctx = open()
    c:send_close(4001, 'gr\195\188n')
    c:expect_close(4001)
    c:expect_end()
    expect_only(events, ctx, '4001:gr\195\188n')
  end)

  it('tells the code of the peer without a reason', function()
    local c, events, _, ctx = open()
    c:send_close(1000)
    c:expect_close(1000)
    c:expect_end()
    expect_only(events, ctx, '1000:')
  end)

  it('tells 1005 when the peer gives no code', function()
    local c, events, _, ctx = open()
    c:send_close()
    c:expect_close(nil)
    c:expect_end()
    expect_only(events, ctx, '1005:')
  end)

  it('comes after the messages that were sent before', function()
    local got = {}
    local c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = data end)
      ws:on_closed(function(_, code) got[#got + 1] = code end)
    end)
    c:send(client.frame(client.TEXT, 'a') .. client.frame(client.TEXT, 'b') ..
      client.frame(client.CLOSE, client.close_body(1000)) .. client.frame(client.TEXT, 'c'))
    c:expect_close(1000)
    c:expect_end()
    assert.is_truthy(ctx)
    assert.same({ 'a', 'b', 1000 }, got)
  end)

  it('tells 1006 when the connection is closed without the handshake', function()
    local c, events, _, ctx = open()
    c:close()
    expect_only(events, ctx, '1006:')
  end)

  it('tells 1006 when the connection is half closed', function()
    local c, events, _, ctx = open()
    c:shutdown()
    expect_only(events, ctx, '1006:')
  end)

  it('tells 1006 when the connection is reset', function()
    local c, events, _, ctx = open()
    c:reset()
    expect_only(events, ctx, '1006:')
  end)

  it('tells 1006 when the connection is lost within a message', function()
    local c, events, _, ctx = open()
    c:send(client.frame(client.TEXT, 'cut', { length = 100 }))
    c:reset()
    expect_only(events, ctx, '1006:')
  end)

  it('delivers first what came before the connection was closed', function()
    local got = {}
    local c, _, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) got[#got + 1] = #data end)
      ws:on_closed(function(_, code) got[#got + 1] = code end)
    end)
    local large = ('x'):rep(100000)
    c:send_some(client.frame(client.TEXT, large) .. client.frame(client.TEXT, 'end'))
    c:close()
    loop.serve_until(ctx, function() return got[3] end)
    assert.same({ 100000, 3, 1006 }, got)
  end)

  it('tells what was given to close, before that returns', function()
    local c, events, ws, ctx = open()
    ws:close(4000, 'mine')
    assert.same({ '4000:mine' }, events)
    c:expect_close(4000, 'mine')
    c:send_close(4001, 'theirs')
    c:expect_end()
    expect_only(events, ctx, '4000:mine')
  end)

  it('tells 1006 of terminate', function()
    local c, events, ws, ctx = open()
    ws:terminate()
    assert.same({ '1006:' }, events)
    c:expect_loss()
    expect_only(events, ctx, '1006:')
  end)

  it('tells 1001 of the end of the context', function()
    local c, events, _, ctx = open()
    ctx:destroy()
    assert.same({ '1001:' }, events)
    c:expect_close(1001)
    expect_only(events, ctx, '1001:')
  end)

  it('is not called again when the context ends during the closing handshake', function()
    local c, events, ws, ctx = open()
    ws:close(1000)
    ctx:destroy()
    c:expect_close(1000)
    expect_only(events, ctx, '1000:')
  end)

  for code, bytes in pairs {
    [1002] = client.frame(3, 'reserved opcode'),
    [1007] = client.frame(client.TEXT, '\255'),
    [1009] = client.frame(client.TEXT, '', { length = 2 ^ 40 }),
  } do
    it('tells the code of the error of the peer: ' .. code, function()
      local c, events, _, ctx = open()
      c:send(bytes)
      local reason = c:expect_close(code)
      c:send_close(code)
      c:expect_end()
      expect_only(events, ctx, code .. ':' .. reason)
    end)
  end

  it('ends a peer that breaks the rules and goes on sending', function()
    local c, events, _, ctx = open()
    c:send(client.frame(3, 'reserved opcode') .. client.frame(client.TEXT, ('x'):rep(1e6)))
    c:expect_close(1002)
    c:shutdown()
    c:expect_end()
    loop.serve_until(ctx, function() return events[1] end)
    assert.equal(1, #events)
  end)

  it('tells 1001 when the context is collected', function()
    local c, events = open()
    c.ctx = {}
    leaks.collect()
    assert.same({ '1001:' }, events)
    c:expect_close(1001)
    c:expect_end()
  end)

  it('is called at the end of the program', function()
    local output = script.run [[
      local client = require 'spec.support.client'
      local pair = require 'spec.support.pair'
      local websockets = require 'websockets'
      kept_c, kept_ws, kept_ctx = pair.open(nil, function(ws)
        ws:on_closed(function(self, code, reason)
          io.stdout:write(code, ':', reason, ':', tostring(self == ws), ':', ws:write 'x', '\n')
        end)
      end)
    ]]
    assert.equal('1001::true:-1\n', output)
  end)

  it('can be registered again, and the last one counts', function()
    local events = {}
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_closed(function() events[#events + 1] = 'first' end)
    end)
    ws:on_closed(function() events[#events + 1] = 'second' end)
    c:reset()
    expect_only(events, ctx, 'second')
  end)

  it('is not needed', function()
    local c, _, ctx = pair.open()
    c:finish(1000)
    local d = pair.open()
    d:reset()
    loop.step(ctx, 1)
  end)

  it('may destroy the context, close others, and serve', function()
    local log, sockets = {}, {}
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      local number = #sockets + 1
      sockets[number] = ws
      ws:on_closed(function(_, code)
        log[#log + 1] = number .. ':' .. code
        if number == 1 then sockets[2]:close(1000) end
        if number == 2 then loop.step(ctx, 1) end
        if number == 3 then ctx:destroy() end
      end)
    end)
    local clients = {}
    for i = 1, 4 do
      clients[i] = client.open(ctx, port, 'p')
    end
    clients[1]:reset()
    loop.serve_until(ctx, function() return #log == 2 end)
    clients[2]:expect_close(1000)
    clients[3]:send_close(1000)
    loop.serve_until(ctx, function() return #log == 4 end)
    assert.same({ '1:1006', '2:1000', '3:1000', '4:1001' }, log)
    clients[3]:expect_close(1000)
    clients[4]:expect_close(1001)
  end)

  local enders = {
    ['the closing handshake'] = function(c) c:send_close(1000) end,
    ['the end of its output'] = function(c) c:shutdown() end,
  }
  for name, finish in pairs(enders) do
    it('follows on_del_fd also when the peer ends before it has read everything #pollfd: ' .. name, function()
      local events = {}
      local c, ws, ctx = pair.open({ on_add_fd = function() end,
        on_del_fd = function() events[#events + 1] = 'del' end })
      ws:on_closed(function() events[#events + 1] = 'closed' end)
      ws:write(('x'):rep(8 * 1024 * 1024))
      finish(c)
      loop.serve_until(ctx, function() return events[2] end, 'both events')
      assert.same({ 'del', 'closed' }, events)
    end)
  end
end)
