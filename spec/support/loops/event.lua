-- SPDX-License-Identifier: MIT
-- A base of lua-event: see luv.lua.

local event = require 'luaevent.core'
local socket = require 'socket'

local loop = {}

local base = event.new()

function loop.context(config) return require('websockets.event').context(config, base) end

function loop.connect(url, options) return require('websockets.event').connect(url, options, base) end

-- It can be ended by the time only.
function loop.step(timeout_ms)
  base:loopexit(math.max(timeout_ms, 0) / 1000)
  base:loop()
end

function loop.thread(fn) coroutine.wrap(fn)() end

function loop.every(seconds, fn)
  local timer = base:addevent(nil, event.EV_TIMEOUT, function() fn() end, seconds)
  return function() timer:close() end
end

function loop.echo(port)
  local server = assert(socket.bind('127.0.0.1', port))
  server:settimeout(0)
  local events = {} -- as long as they are referred to
  local function watch(sock, fn)
    sock:settimeout(0)
    events[sock] = base:addevent(sock, event.EV_READ, fn)
  end
  local function close(sock)
    events[sock]:close()
    events[sock] = nil
    sock:close()
  end
  watch(server, function()
    local peer = assert(server:accept())
    watch(peer, function()
      local data, why, part = peer:receive(4096)
      peer:send(data or part)
      if why == 'closed' then close(peer) end
    end)
  end)
  return function() close(server) end
end

return loop
