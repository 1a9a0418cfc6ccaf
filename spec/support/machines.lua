-- SPDX-License-Identifier: MIT
-- Contexts that are joined by a cluster: each is a machine of its own, all of them in this process.

local client = require 'spec.support.client'
local loop = require 'spec.support.loop'

local machines = {}

-- A context with the protocols p and q; its events are in `events`, the websockets of p in `sockets`. It is added to
-- `group`, the list of those that are served together.
function machines.add(group, config)
  local self = { events = {}, sockets = {} }
  local copy = {
    on_cluster = function(state) self.events[#self.events + 1] = state end,
    protocols = {
      p = function(ws) self.sockets[#self.sockets + 1] = ws end,
      q = function(ws)
        ws:on_broadcast(function(_, data) ws:write('q: ' .. data) end)
      end,
    },
  }
  for name, value in pairs(config) do
    copy[name] = value
  end
  self.ctx, self.port = loop.context(copy)
  group[#group + 1] = self.ctx

  -- A client.
  function self.open(protocol) return client.open(group, self.port, { protocol = protocol or 'p' }) end

  -- A client, and its websocket, which is subscribed.
  function self.subscribe(topic, options)
    local c = self.open()
    local ws = self.sockets[#self.sockets]
    assert(ws:subscribe(topic, options))
    return c, ws
  end

  -- Until it was told of a state so often.
  function self.wait_for(state, count)
    loop.serve_until(group, function()
      local found = 0
      for _, event in ipairs(self.events) do
        if event == state then found = found + 1 end
      end
      return found >= (count or 1)
    end, state)
  end

  return self
end

-- So many machines, which are connected. Returns the group and each of them.
function machines.connected(count, config)
  local group, all = {}, {}
  for i = 1, count do
    all[i] = machines.add(group, config)
  end
  for _, one in ipairs(all) do
    one.wait_for 'up'
  end
  return group, (table.unpack or unpack)(all)
end

return machines
