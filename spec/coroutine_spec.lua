-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

describe('a coroutine', function()
  leaks.check_each(before_each, after_each)

  local function run(body)
    local thread = coroutine.create(body)
    while coroutine.status(thread) ~= 'dead' do
      local ok, message = coroutine.resume(thread)
      if not ok then error(message, 0) end
    end
  end

  it('can make a context, serve it, and do everything else', function()
    run(function()
      local closed
      local c, ws, ctx = pair.open(nil, function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
        ws:on_closed(function(_, code) closed = code end)
      end)
      coroutine.yield()
      c:text 'x'
      c:expect_text 'x'
      coroutine.yield()
      ctx:broadcast('p', 'y')
      c:expect_text 'y'
      ws:close(1000)
      assert.equal(1000, closed)
      ctx:destroy()
    end)
  end)

  it('may end before the context does', function()
    local c, ws, ctx
    run(function()
      c, ws, ctx = pair.open(nil, function(ws)
        ws:on_receive(function(_, data) ws:write(data) end)
      end)
    end)
    leaks.collect()
    c:text 'x'
    c:expect_text 'x'
    ctx:broadcast('p', 'y')
    c:expect_text 'y'
    run(function()
      c:text 'z'
      c:expect_text 'z'
      ws:close()
    end)
    c:expect_close(nil)
  end)

  it('can serve while others do, in turns', function()
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    local threads = {}
    for i = 1, 5 do
      threads[i] = coroutine.create(function()
        local c = client.open(ctx, port, 'p')
        for n = 1, 10 do
          c:text(i .. ':' .. n)
          coroutine.yield()
          c:expect_text(i .. ':' .. n)
        end
      end)
    end
    for _ = 1, 11 do
      for i = 1, 5 do
        assert(coroutine.resume(threads[i]))
      end
    end
    for i = 1, 5 do
      assert.equal('dead', coroutine.status(threads[i]))
    end
  end)

  it('can be run within a callback, and serve there', function()
    local ctx, port
    ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data)
        run(function()
          coroutine.yield()
          loop.step(ctx, 0)
          ws:write(data)
          coroutine.yield()
          ws:close(1000)
        end)
      end)
    end)
    local c = client.open(ctx, port, 'p')
    c:text 'x'
    c:expect_text 'x'
    c:expect_close(1000)
  end)

  it('can wait for a callback to resume it', function()
    local waiting
    local c = pair.open(nil, function(ws)
      local thread = coroutine.create(function()
        for i = 1, 3 do
          local data = coroutine.yield()
          ws:write(i .. data)
        end
        ws:close(1000)
      end)
      coroutine.resume(thread)
      ws:on_receive(function(_, data)
        waiting = coroutine.status(thread)
        assert(coroutine.resume(thread, data))
      end)
    end)
    c:text 'a'
    c:text 'b'
    c:expect_text '1a'
    c:expect_text '2b'
    c:text 'c'
    c:expect_text '3c'
    c:expect_close(1000)
    assert.equal('suspended', waiting)
  end)

  -- A yield would leave the server in the midst of its work.
  for _, where in ipairs { 'receive', 'open', 'closed', 'broadcast' } do
    it('cannot yield in a callback, which is an error there and goes no further: ' .. where, function()
      local errors = {}
      run(function()
        local yield = function() coroutine.yield() end
        local ctx, port = pair.context({ on_error = function(message) errors[#errors + 1] = message end },
          function(ws)
            ws:on_receive(where == 'receive' and yield or function() end)
            ws:on_closed(where == 'closed' and yield or function() end)
            ws:on_broadcast(where == 'broadcast' and yield or 0)
            if where == 'open' then coroutine.yield() end
          end)
        local c = client.open(ctx, port, 'p')
        if where == 'receive' then c:text 'x' end
        if where == 'closed' then c:send_close(1000) end
        if where == 'broadcast' then ctx:broadcast('p', 'x') end
        c:expect_close(where == 'closed' and 1000 or 1011)
        loop.serve_until(ctx, function() return errors[1] end)
        client.open(ctx, port, 'p')
        ctx:destroy()
      end)
      assert.is_true(#errors >= 1)
      assert.is_truthy(errors[1]:find('yield', 1, true), errors[1])
    end)
  end

  it('that is abandoned does no harm', function()
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end)
    do
      local thread = coroutine.wrap(function()
        loop.step(ctx, 0)
        ws:on_broadcast(function() ws:write 'from the abandoned' end)
        coroutine.yield()
      end)
      thread()
    end
    leaks.collect()
    ctx:broadcast('p', 'x')
    c:expect_text 'from the abandoned'
  end)
end)
