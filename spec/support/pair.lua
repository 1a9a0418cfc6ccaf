-- SPDX-License-Identifier: MIT
-- The simplest server there is: one protocol, 'p'.

local client = require 'spec.support.client'
local loop = require 'spec.support.loop'

local pair = {}

-- A context for loop.context(config) whose protocol 'p' calls setup(ws) for each connection.
function pair.context(config, setup)
  local copy = {}
  for name, value in pairs(config or {}) do
    copy[name] = value
  end
  copy.protocols = { p = setup or function() end }
  return loop.context(copy)
end

-- A context as above and a client of it, connected; `options` for client.open(). Returns the client, its
-- websocket, the context, the port.
function pair.open(config, setup, options)
  local opened
  local ctx, port = pair.context(config, function(ws)
    if opened == nil then opened = ws end
    if setup then setup(ws) end
  end)
  local settings = { protocol = 'p' }
  for name, value in pairs(options or {}) do
    settings[name] = value
  end
  local c = client.open(ctx, port, settings)
  local ws = opened
  opened = false -- the function lives as long as the context
  return c, ws, ctx, port
end

return pair
