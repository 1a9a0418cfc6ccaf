-- SPDX-License-Identifier: MIT
-- Topics with a history: those of machines.lua whose names begin with 'h/'. Each message comes as "POSITION|DATA".

local assert = require 'luassert'
local loop = require 'spec.support.loop'

local histories = {}

-- The options of such machines; more ones of the history.
function histories.config(url, more)
  local history = { topics = { 'h/' }, wrap = function(data, position) return position .. '|' .. data end }
  for name, value in pairs(more or {}) do
    history[name] = value
  end
  return { cluster = url, history = history }
end

-- Data and position of a client's next message.
function histories.read(c)
  local position, data = c:expect_text():match '^([^|]*)|(.*)$'
  return data, position
end

function histories.expect(c, ...)
  for _, wanted in ipairs { ... } do
    assert.equal(wanted, (histories.read(c)))
  end
end

-- A client that is subscribed and ready. Options: topic ('h/1'), since. Returns it, its websocket, and what on_ready was
-- told.
function histories.join(group, machine, options)
  options = options or {}
  local told
  local c, ws = machine.subscribe(options.topic or 'h/1', {
    since = options.since,
    on_ready = function(...)
      assert.is_nil(told)
      told = { ... }
    end,
  })
  loop.serve_until(group, function() return told end, 'on_ready')
  assert.equal(ws, table.remove(told, 1))
  return c, ws, told
end

-- As soon as Redis can be had.
function histories.publish(group, machine, topic, data)
  loop.serve_until(group, function() return machine.ctx:publish(topic, data) == 0 end, 'a publish')
end

return histories
