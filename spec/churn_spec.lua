-- SPDX-License-Identifier: MIT
-- Clients come and go while others are broadcast to.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'

local function count_of(count)
  return math.max(20, math.floor(count / loop.time_factor))
end

describe('while the context broadcasts', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- How a client may go. Each is called with the client and its websocket.
  local ways = {
    function(c) c:finish(1000) end,
    function(c) c:reset() end,
    function(c) c:close() end,
    function(c) c:shutdown() end,
    function(_, ws) ws:terminate() end,
    function(_, ws) ws:close(4000) end,
    function(c, ws)
      ws:write(('x'):rep(100000))
      c:close()
    end,
    function(c)
      c:send_some(client.frame(client.TEXT, 'half'):sub(1, 5))
      c:close()
    end,
  }

  -- Opens so many clients in all, some at a time, and lets them go in all ways.
  local function churn(count, config, options)
    local opened, closed, newest, expected, next_number = 0, 0, {}, {}, 0
    local ctx, port = pair.context(config, function(ws)
      opened = opened + 1
      newest[#newest + 1] = ws
      ws:on_closed(function() closed = closed + 1 end)
    end)
    local settings = { protocol = 'p' }
    for name, value in pairs(options or {}) do
      settings[name] = value
    end
    local staying = {}
    for i = 1, 5 do
      staying[i] = client.open(ctx, port, settings)
    end
    local function broadcast()
      next_number = next_number + 1
      expected[#expected + 1] = next_number
      assert.equal(0, ctx:broadcast('p', tostring(next_number)))
    end
    newest = {}
    while opened < count + #staying do
      local clients = {}
      for i = 1, #ways do
        clients[i] = client.open(ctx, port, settings)
        broadcast()
        if #newest ~= i then error 'a client more or less' end
      end
      for i, c in ipairs(clients) do
        -- What was broadcast until now comes first.
        for number = next_number - #ways + i, next_number do
          c:expect_text(tostring(number))
        end
      end
      for i, c in ipairs(clients) do
        ways[i](c, newest[i])
      end
      broadcast()
      for _, c in ipairs(staying) do
        for _, number in ipairs(expected) do
          c:expect_text(tostring(number))
        end
      end
      expected = {}
      for _, c in ipairs(clients) do
        c:close()
      end
      loop.serve_until(ctx, function() return closed == opened - #staying end, 'on_closed of all that left')
      newest = {}
    end
    for _, c in ipairs(staying) do
      c:expect_nothing()
    end
  end

  it('1 000 clients come and go', function()
    churn(count_of(1000))
  end)

  it('clients come and go over TLS', function()
    churn(count_of(200), tls.config(), { tls = {} })
  end)
end)
