-- SPDX-License-Identifier: MIT
-- Ctrl-C: lua and luajit raise 'interrupted!', by a hook, in whatever runs. If that is a callback, it is not to blame.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local interruption = require 'spec.support.interruption'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'

local interrupt = interruption.raise

describe('an interruption', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)

  local function serve(ctx)
    for _ = 1, 1000 do
      ctx:service(10)
    end
  end

  local function expect_interrupted(fn, ...)
    local succeeded, why = pcall(fn, ...)
    assert.is_false(succeeded)
    assert.matches('^[^\n]*interrupted!$', why)
  end

  -- How to cause an event that `interrupt` is told of.
  local events = {
    on_receive = function(c, ws, ctx)
      ws:on_receive(interrupt)
      c:send_some(client.frame(client.TEXT, 'x'))
      serve(ctx)
    end,
    on_receive_chunk = function(c, ws, ctx)
      ws:on_receive_chunk(interrupt)
      c:send_some(client.frame(client.TEXT, 'x'))
      serve(ctx)
    end,
    on_pong = function(c, ws, ctx)
      ws:on_pong(interrupt)
      c:send_some(client.frame(client.PONG, 'x'))
      serve(ctx)
    end,
    on_server_writeable = function(_, ws, ctx)
      ws:on_server_writeable(interrupt)
      ws:write 'x'
      serve(ctx)
    end,
    on_broadcast = function(_, ws, ctx)
      ws:on_broadcast(interrupt)
      ctx:broadcast('p', 'x')
    end,
    ['a timer'] = function(_, _, ctx)
      ctx:after(0, interrupt)
      serve(ctx)
    end,
    ['a timer in run()'] = function(_, _, ctx)
      ctx:after(0, interrupt)
      ctx:run()
    end,
    ['a nested call'] = function(c, ws, ctx)
      ws:on_receive(function() serve(ctx) end)
      ctx:after(0.01, interrupt)
      c:send_some(client.frame(client.TEXT, 'x'))
      serve(ctx)
    end,
    ['another context'] = function(c, ws, ctx)
      ws:on_receive(function()
        local other = pair.context()
        other:after(0, interrupt)
        serve(other)
      end)
      c:send_some(client.frame(client.TEXT, 'x'))
      serve(ctx)
    end,
  }

  for what, cause in pairs(events) do
    it('in ' .. what .. ' leaves the call, and nothing else', function()
      local c, ws, ctx = pair.open()
      expect_interrupted(cause, c, ws, ctx)
      assert.equal('open', ws:state())
      ws:on_server_writeable(function() end)
      ws:on_receive(function(_, data) ws:write(data .. ' again') end)
      ctx:after(0, function() ws:write 'a timer' end)
      while c:receive_frame().payload ~= 'a timer' do end
      c:text 'x'
      c:expect_text 'x again'
      c:finish(1000)
    end)
  end

  it('in on_closed leaves close(), which has closed', function()
    local c, ws = pair.open()
    ws:on_closed(interrupt)
    expect_interrupted(ws.close, ws)
    assert.equal('closed', ws:state())
    ws:close()
    c:expect_close()
  end)

  it('in the function of a protocol leaves service()', function()
    local ctx, port = pair.context(nil, interrupt)
    client.connect(ctx, port):send_some(client.request { protocol = 'p' })
    expect_interrupted(serve, ctx)
  end)

  it('in on_http and on_upgrade leaves service(); nobody decides about the upgrade then', function()
    local ctx, port = pair.context { on_http = interrupt, on_upgrade = interrupt }
    local c = client.connect(ctx, port)
    c:send_some(http.request '/')
    expect_interrupted(serve, ctx)
    assert.equal(500, (c:read_response()))
    c = client.connect(ctx, port)
    c:send_some(client.request { protocol = 'p' })
    expect_interrupted(serve, ctx)
    assert.equal(500, (c:read_response()))
  end)

  it('in on_error leaves service()', function()
    local c, ws, ctx = pair.open { on_error = interrupt }
    ws:on_receive(function() error('the first one', 0) end)
    c:send_some(client.frame(client.TEXT, 'x'))
    expect_interrupted(serve, ctx)
    c:expect_close(1011)
  end)

  it('of a call that has not begun yet loses no message', function()
    local got = {}
    local function receive(_, data)
      got[#got + 1] = data
      if #got == 1 then
        debug.sethook(function()
          debug.sethook()
          error 'interrupted!'
        end, 'c')
      end
    end
    local c, ws, ctx, port = pair.open(nil, function(ws) ws:on_receive(receive) end)
    local d = client.open(ctx, port, 'p')
    c:send_some(client.frame(client.TEXT, 'x'))
    d:send_some(client.frame(client.TEXT, 'x'))
    expect_interrupted(serve, ctx)
    loop.serve_until(ctx, function() return #got == 2 end, 'the other message')
    assert.equal('open', ws:state())
  end)

  it('is not what ends like one, such as what a client has said', function()
    local errors = {}
    local c, ws, ctx = pair.open { on_error = function(why) errors[#errors + 1] = why end }
    ws:on_receive(function(_, data) error(data) end)
    c:send_some(client.frame(client.TEXT, 'interrupted!'))
    loop.serve_until(ctx, function() return #errors > 0 end, 'the error')
    assert.matches('^[^\n]*interrupted!\n', errors[1])
    c:expect_close(1011)
  end)

  it('by Ctrl-C leaves service() of a busy server, whose clients stay', function()
    local server = remote.start()
    local port = server:call [[
      local websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { echo = function(ws)
        ws:on_receive(function(_, data, type)
          local sum = 0
          for i = 1, 10000 do sum = sum + i % 7 end
          ws:write(data, type)
        end)
      end } }
      return tonumber((ctx:addresses()[1]:match '%d+$'))
    ]]
    server:begin [[
      return pcall(function() while true do ctx:service(-1) end end)
    ]]
    local clients = {}
    for i = 1, 4 do
      clients[i] = client.open({}, port, 'echo')
    end
    local frame = client.frame(client.TEXT, ('x'):rep(50))
    local rounds = 0
    loop.serve_until({}, function()
      rounds = rounds + 1
      if rounds == 10 then remote.signal(server.pid, 'INT') end
      for _, c in ipairs(clients) do
        c:send(frame:rep(20))
        while c:pump() do end
      end
      return server:has_ended()
    end, 'the interruption')
    local succeeded, why = server:result()
    assert.is_false(succeeded)
    assert.matches('interrupted!$', why)
    server:begin 'for _ = 1, 1000 do ctx:service(10) end'
    for _, c in ipairs(clients) do
      c:send(client.frame(client.TEXT, 'the last one'))
      while c:receive_frame().payload ~= 'the last one' do end
    end
  end)

  it('by Ctrl-C that the callback has caught and raised again leaves service(), too', function()
    local server = remote.start()
    local port = server:call [[
      local websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function(ws)
        ws:on_receive(function()
          local _, why = pcall(function()
            ws:write(('x'):rep(300000)) -- so much that it leaves at once
            while os.time() do end
          end)
          error(why, 0)
        end)
      end } }
      return tonumber((ctx:addresses()[1]:match '%d+$'))
    ]]
    server:begin 'return pcall(function() while true do ctx:service(-1) end end)'
    interruption.expect_in_callback(server, port)
  end)
end)
