-- SPDX-License-Identifier: MIT
-- The context that stands for all that names none: websockets.connect and websockets.run.
local clients = require 'spec.support.clients'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local script = require 'spec.support.script'
local websockets = require 'websockets'

local function echo(ws)
  ws:on_receive(function(_, data, type) ws:write(data, type) end)
end

describe('the default context', function()
  after_each(clients.close_all)
  leaks.check_each(before_each, after_each)

  local nobody = ('ws://127.0.0.1:%d/'):format(loop.free_port())

  it('is made on first use, and is always the same', function()
    local one, other = websockets.connect(nobody), websockets.connect(nobody)
    local ctx = one:context()
    assert.equal(ctx, other:context())
    assert.equal('connecting', one:state())
    ctx:destroy()
    assert.equal('closed', one:state())
    assert.is_nil(tostring(ctx):find('open', 1, true))
    local another = websockets.connect(nobody)
    assert.not_equal(ctx, another:context())
    another:context():destroy()
  end)

  it('raises wrong arguments at the line of the caller', function()
    local ok, message = pcall(function()
      local ws = websockets.connect 'x'
      return ws
    end)
    assert.is_false(ok)
    assert.matches('^spec/default_context_spec.lua:%d+: websocket could not connect: ', message)
    websockets.connect(nobody):context():destroy()
  end)

  it('runs until nothing is left to wait for', function()
    local ws = websockets.connect(nobody)
    local ctx, closed, ticks = ws:context(), false, 0
    ws:on_closed(function() closed = true end)
    ctx:after(0.001, function() ticks = ticks + 1 end)
    assert.same({ 0, 'done' }, { websockets.run() })
    assert.same({ true, 1 }, { closed, ticks })
    assert.same({ 0, 'done' }, { websockets.run() })
    ctx:after(0, function() ctx:stop() end)
    assert.same({ 0, 'stop' }, { websockets.run() })
    assert.is_true(loop.is_destroyed(ctx))
    assert.same({ 0, 'done' }, { websockets.run() })
  end)

  it('waits for what closes in the background', function()
    local server = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = echo } }
    local ws = websockets.connect('ws://' .. server:addresses()[1])
    server:every(0.001, function() end)
    local closed
    ws:on_open(function() ws:close(1000) end)
    ws:on_closed(function(_, code) closed = code end)
    local ctx = ws:context()
    ctx:every(0.001, function(timer)
      server:service(0)
      if closed then timer:cancel() end
    end)
    websockets.run()
    assert.equal(1000, closed)
    server:destroy()
    ctx:destroy()
  end)

  it('is served along by the run of every other context', function()
    local server = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = echo } }
    local ws = websockets.connect('ws://' .. server:addresses()[1])
    local ctx, got = ws:context(), nil
    ws:on_open(function() ws:write 'hello' end)
    ws:on_receive(function(_, data)
      got = data
      ctx:after(0.001, function() server:stop() end)
      ws:close()
    end)
    assert.same({ 0, 'stop' }, { server:run() })
    assert.equal('hello', got)
    ctx:destroy()
  end)

  it('keeps the run of another one going', function()
    local other = websockets.context {}
    local ws = websockets.connect(nobody)
    local ctx, closed = ws:context(), false
    ws:on_closed(function() closed = true end)
    assert.error_matches(function() other:run() end, 'has nothing to wait for')
    assert.is_true(closed)
    ctx:destroy()
    other:destroy()
  end)

  it('may be destroyed, and made anew, while another one runs', function()
    local other = websockets.context {}
    local ws = websockets.connect(nobody)
    local ctx = ws:context()
    ctx:after(0, function() ctx:destroy() end)
    local ticks, another = 0, nil
    other:every(0.001, function()
      ticks = ticks + 1
      if ticks == 3 then
        assert(loop.is_destroyed(ctx))
        another = websockets.connect(nobody)
        assert(another:context() == other)
      end
      if another and another:state() == 'closed' then other:stop() end
    end)
    assert.same({ 0, 'stop' }, { other:run() })
  end)

  it('is another one for who connects while it is destroyed', function()
    local ws = websockets.connect(nobody)
    local ctx, another, ended = ws:context(), nil, nil
    ws:on_closed(function()
      assert(loop.is_destroyed(ctx))
      assert.same({ 0, 'done' }, { websockets.run() })
      another = websockets.connect(nobody)
      another:on_closed(function(_, _, _, failure) ended = failure.kind end)
    end)
    local other = websockets.context {}
    other:after(0, function() ctx:destroy() end)
    other:every(0.001, function()
      if ended then other:stop() end
    end)
    other:after(20 * loop.time_factor, function() other:stop() end)
    assert.same({ 0, 'stop' }, { other:run() })
    assert.equal('refused', ended)
    another:context():destroy()
  end)

  it('is not that of a callback: there it is the one that runs', function()
    local server, url = clients.server(nil, echo)
    local inner, outer
    server:after(0, function()
      inner = websockets.connect(url)
      outer = coroutine.wrap(function() return websockets.connect(url) end)()
    end)
    loop.serve_until(server, function() return inner end)
    assert.same({ server, server }, { inner:context(), outer:context() })
    clients.wait_for_state(server, inner, 'open')
    local ws = websockets.connect(url)
    assert.not_equal(server, ws:context())
    ws:context():destroy()
  end)

  it('raises what interrupts a callback, wherever it is served', function()
    local other = websockets.context {}
    local ws = websockets.connect(nobody)
    local ctx = ws:context()
    ctx:after(0, function() error 'oops' end)
    other:after(0.01, function() other:stop() end)
    local taken = script.run [[
      local websockets = require 'websockets'
      local other = websockets.context {}
      local ws = websockets.connect 'ws://127.0.0.1:1/'
      ws:context():after(0, function() error 'oops' end)
      other:after(0.05, function() other:stop() end)
      io.stderr = io.stdout
      print(other:run())
    ]]
    assert.matches('0\tstop', taken)
    ctx:destroy()
    other:destroy()
  end)

  it('ends with the program, in whatever order things are finalized', function()
    for _, last in ipairs { 'ws', 'server', 'context' } do
      assert.equal('open\n', script.run(([[
        local websockets = require 'websockets'
        local server = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
        local ws = websockets.connect('ws://' .. server:addresses()[1])
        local context = ws:context()
        ws:on_open(function() server:stop() end)
        ws:on_closed(function() kept = server end)
        server:every(0.001, function() if ws:state() == 'open' then server:stop() end end)
        server:run()
        print 'open'
        kept = %s
      ]]):format(last)))
    end
  end)

  it('tells of what was not sent when the program ends', function()
    local server, url = clients.server()
    local output = script.run(([[
      local websockets = require 'websockets'
      local ws = websockets.connect '%s'
      ws:write(('x'):rep(1000))
    ]]):format(url))
    assert.matches('warning: 1%d%d%d bytes were not sent', output)
    assert.is_false(loop.is_destroyed(server))
  end)
end)
