-- SPDX-License-Identifier: MIT
-- The default loop of lua-ev, or of what stands in for it where it is not installed: see luv.lua.

if not pcall(require, 'ev') then package.loaded.ev = require 'spec.support.ev' end

local ev = require 'ev'
local socket = require 'socket'

local loop = {}

local default = ev.Loop.default

loop.context = require('websockets.ev').context
loop.connect = require('websockets.ev').connect

function loop.step(timeout_ms)
  local timer = ev.Timer.new(function() default:unloop() end, math.max(timeout_ms, 0) / 1000 + 1e-9)
  timer:start(default)
  default:loop()
end

loop.step(0) -- what it keeps from the first use on is there now

function loop.thread(fn) coroutine.wrap(fn)() end

function loop.every(seconds, fn)
  local timer = ev.Timer.new(function() fn() end, seconds, seconds)
  timer:start(default)
  return function() timer:stop(default) end
end

function loop.echo(port)
  local server = assert(socket.bind('127.0.0.1', port))
  local function watch(sock, fn)
    sock:settimeout(0)
    local io = ev.IO.new(fn, sock:getfd(), ev.READ)
    io:start(default)
    return function()
      io:stop(default)
      sock:close()
    end
  end
  return watch(server, function()
    local peer = assert(server:accept())
    local close
    close = watch(peer, function()
      local data, why, part = peer:receive(4096)
      peer:send(data or part)
      if why == 'closed' then close() end
    end)
  end)
end

return loop
