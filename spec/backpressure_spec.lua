-- SPDX-License-Identifier: MIT
-- The memory that is held for a client that does not read follows what waits for it, whatever that is made of.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local websockets = require 'websockets'

local megabyte = 1024 * 1024
local FRAGMENT = websockets.WRITE_TEXT + websockets.WRITE_NO_FIN
local LAST = websockets.WRITE_CONTINUATION
-- What the process may take besides: Lua's own garbage, and what the allocator keeps.
local slack_bytes = 12 * megabyte

describe('backpressure', function()
  leaks.check_each(before_each, after_each)

  local ping = client.frame(client.PING, '')
  local long = ('y'):rep(2000)
  local large = ('z'):rep(5000)

  -- Each is done again and again. Those that rightly take much come last: what they give back is not taken anew.
  local mixes = {
    { 'pongs between messages of a topic', function(ctx, _, c)
      ctx:publish('topic', 'x')
      c:send(ping)
      loop.step(ctx, 10)
    end },
    { 'broadcasts that wait for the end of a message', function(ctx, ws)
      ws:write('', FRAGMENT)
      ctx:broadcast('p', 'x')
      ctx:publish('topic', 'x')
      ws:write('', LAST)
    end },
    { 'short messages of a topic', function(ctx)
      for i = 1, 30 do
        ctx:publish('topic', 'x')
      end
    end },
    { 'short broadcasts', function(ctx)
      for i = 1, 30 do
        ctx:broadcast('p', 'x')
      end
    end },
    { 'pongs between long messages of a topic', function(ctx, _, c)
      ctx:publish('topic', long)
      c:send(ping)
      loop.step(ctx, 10)
    end },
    { 'short messages between long ones of a topic', function(ctx, ws)
      ctx:publish('topic', long)
      ws:write 'x'
    end },
    { 'short messages between large ones', function(_, ws)
      ws:write(large)
      ws:write 'x'
    end },
    { 'all of it in turns', function(ctx, ws, c)
      ctx:publish('topic', 'x')
      ws:write 'x'
      ws:write('x', FRAGMENT)
      ctx:broadcast('p', long)
      ctx:broadcast('p', 'x')
      ws:write('x', LAST)
      c:send(ping)
      loop.step(ctx, 10)
      ws:write(large)
    end },
  }

  for _, mix in ipairs(mixes) do
    local name, add = mix[1], mix[2]
    it('holds no more memory than twice what waits: ' .. name, function()
      local c, ws, ctx = pair.open({ max_backpressure = 256 * megabyte }, function(ws) ws:subscribe 'topic' end,
        { receive_buffer = 65536 })
      repeat -- until the system takes no more, a while later either
        assert.equal(0, ws:write(('x'):rep(500000)))
        for _ = 1, 5 do loop.step(ctx, 10) end
      until ws:buffered_amount() >= 100000
      -- Neither can tell there.
      local is_measured = not script.is_sanitized() and loop.time_factor < 10
      local waiting, resident
      repeat -- once more where the system has taken more than was added, as it may when others keep it busy
        local waiting_before, resident_before = ws:buffered_amount(), leaks.resident_kb() * 1024
        for i = 1, is_measured and 10000 or 200 do
          add(ctx, ws, c)
        end
        waiting, resident = ws:buffered_amount() - waiting_before, leaks.resident_kb() * 1024 - resident_before
      until waiting > 0
      if not is_measured then return end
      assert.is_true(resident <= 2 * waiting + slack_bytes, ('%d bytes for %d'):format(resident, waiting))
    end)
  end
end)
