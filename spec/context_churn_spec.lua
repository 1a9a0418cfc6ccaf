-- SPDX-License-Identifier: MIT
-- Contexts come and go, and nothing of them stays. By hand, CONTEXTS=100000 has so many of them made, and tells of the
-- memory.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local script = require 'spec.support.script'

local by_hand = tonumber(os.getenv 'CONTEXTS')
local total = by_hand or math.floor(1500 / loop.time_factor)
-- Before the memory is looked at for the first time, and until all is collected.
local warm_up, group = math.floor(total / 3), 20

-- A context in which everything has been used, and its client.
local function use(ctx, port, get)
  local c = client.open(ctx, port, 'p')
  ctx:every(60, function() return ctx end)
  local is_called = false
  ctx:after(0, function() is_called = true end)
  c:text 'x'
  c:expect_text 'x'
  loop.serve_until(ctx, function() return is_called and get() end, 'the timer')
  ctx:publish('topic', ('x'):rep(5000))
  c:expect_text(('x'):rep(5000))
  return c
end

-- One context; each tenth is used. Returns it, and its client.
local function create(number)
  local ctx, opened
  ctx = loop.context { port = 0, listen = { '127.0.0.1:0' }, protocols = {
    p = function(ws)
      opened = ws
      ws:subscribe 'topic'
      ws:subscribe(tostring(number))
      ws:on_receive(function(_, data) return ws:write(data) and ctx end)
      ws:on_closed(function() opened = nil end)
    end,
  } }
  if number % 10 ~= 0 then return ctx end
  local port = tonumber((ctx:addresses()[1]:match '%d+$'))
  return ctx, use(ctx, port, function() return opened end)
end

local function destroy(ctx) ctx:destroy() end

local function leave_to_collector() end

-- Makes so many contexts, and ends each by finish(context); looks that nothing is left of each group.
local function churn(from, to, finish)
  local clients = {}
  for number = from, to do
    local ctx, c = create(number)
    finish(ctx)
    if c then
      c.ctx = {} -- that it does not refer to any more
      clients[#clients + 1] = c
    end
    ctx = nil
    if number % group == 0 or number == to then
      leaks.collect()
      if loop.count_objects() ~= 0 then error('context ' .. number .. ' is there still') end
      for _, left in ipairs(clients) do
        left:close()
      end
      clients = {}
    end
  end
end

describe('contexts that come and go', function()
  leaks.check_each(before_each, after_each)

  for name, finish in pairs { ['by destroy'] = destroy, ['by the collector'] = leave_to_collector } do
    it('leave nothing behind, ' .. name, function()
      churn(1, warm_up, finish)
      local memory_kb, lua_kb, descriptors = leaks.resident_kb(), collectgarbage 'count', leaks.count_descriptors()
      churn(warm_up + 1, total, finish)
      local grown_kb, lua_grown_kb = leaks.resident_kb() - memory_kb, collectgarbage 'count' - lua_kb
      assert.equal(descriptors, leaks.count_descriptors())
      assert.is_true(lua_grown_kb < 100, lua_grown_kb .. ' KB more in Lua')
      if by_hand then
        io.write(('%d contexts: %.0f KB resident, %.0f KB in Lua; %d more: %+.0f KB, %+.0f KB\n'):format(warm_up,
          memory_kb, lua_kb, total - warm_up, grown_kb, lua_grown_kb))
      end
      -- The sanitizers keep for a while what was freed, and so does Valgrind.
      if script.is_sanitized() or loop.time_factor > 1 then return end
      assert.is_true(grown_kb < 1000, grown_kb .. ' KB more')
    end)
  end
end)
