-- SPDX-License-Identifier: MIT
-- What specs of waiting (receive, spawn, sleep and the like) need.

local assert = require 'luassert'
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

local waits = {}

local unpack = table.unpack or unpack

-- In Lua 5.1 nothing waits within pcall, an iterator or a metamethod.
waits.is_puc_51 = _VERSION == 'Lua 5.1' and not rawget(_G, 'jit')

function waits.pack(...) return { n = select('#', ...), ... } end

-- Serves until a thread has ended; returns what its join() does.
function waits.finish(ctx, thread)
  loop.serve_until(ctx, function() return thread:status() == 'ended' end, 'the end of a coroutine')
  return thread:join()
end

-- Serves until a thread waits.
function waits.wait_for_waiting(ctx, thread)
  loop.serve_until(ctx, function() return thread:status() == 'waiting' end, 'a coroutine to wait')
  loop.step(ctx) -- for one that had not begun
end

-- Runs a function in a coroutine of a context to its end. Returns what it does, raises what it does.
function waits.run(ctx, fn, ...)
  local results = waits.pack(waits.finish(ctx, ctx:spawn(fn, ...)))
  if results[1] then return unpack(results, 2, results.n) end
  loop.take_errors()
  error(results[3], 0)
end

-- A context whose protocol 'p' gives each websocket a coroutine, and a client of it. Returns the client, its websocket,
-- the context, the port.
function waits.open(fn, config, options) return pair.open(config, websockets.handler(fn), options) end

-- Calls back in a coroutine of the context, and outside of coroutines, what waits there. `fn` is given 'spawned' or
-- 'outside', and a new client and websocket, which has an inbox already; then the context.
function waits.in_both_places(config, fn, options)
  for _, place in ipairs { 'spawned', 'outside' } do
    local c, ws, ctx = pair.open(config, nil, options)
    assert.same({ nil, 'timeout' }, { ws:receive(0) })
    if place == 'spawned' then
      waits.run(ctx, fn, c, ws, ctx)
    else
      fn(c, ws, ctx)
    end
    ctx:destroy()
    c:close()
  end
end

-- Calls a function, which has to raise an error that has the line of this call before a text for string.match.
function waits.expect_raised(pattern, fn, ...)
  local ok, why = pcall(fn, ...)
  assert.is_false(ok)
  assert.matches('^spec/[%w_]+_spec.lua:%d+: ' .. pattern, why)
end

-- A protocol that echoes, by a coroutine for each websocket.
waits.echo = websockets.handler(function(ws)
  while true do
    local data = ws:receive()
    if not data then return end
    ws:write(data)
  end
end)

waits.text = function(payload) return client.frame(client.TEXT, payload) end

return waits
