-- SPDX-License-Identifier: MIT
-- Copas: see luv.lua.

local copas = require 'copas'
local socket = require 'socket'

local loop = {}

local failure -- of a thread
local timers = {} -- Copas has none: who needs one looks at the clock between its steps

loop.context = require('websockets.copas').context
loop.connect = require('websockets.copas').connect

function loop.step(timeout_ms)
  copas.step(timeout_ms >= 0 and timeout_ms / 1000 or nil)
  local why = failure
  failure = nil
  if why then error(why, 0) end
  for timer in pairs(timers) do
    if socket.gettime() >= timer.at then
      timer.at = timer.at + timer.seconds
      timer.fn()
    end
  end
end

function loop.thread(fn)
  copas.addthread(function()
    copas.setErrorHandler(function(why, co) failure = debug.traceback(co, why) end)
    fn()
  end)
end

function loop.talk(port, text)
  local peer = socket.tcp()
  assert(copas.connect(peer, '127.0.0.1', port))
  assert(copas.send(peer, text))
  local answer = copas.receive(peer, #text)
  peer:close()
  return answer
end

function loop.every(seconds, fn)
  local timer = { seconds = seconds, fn = fn, at = socket.gettime() + seconds }
  timers[timer] = true
  return function() timers[timer] = nil end
end

-- Copas cannot be told to forget a server; a descriptor of -1 it passes over.
function loop.echo(port)
  local server = assert(socket.bind('127.0.0.1', port))
  copas.addserver(server, function(peer)
    while true do
      local data, why, part = copas.receive(peer, 1)
      if not data and why ~= 'timeout' then break end
      copas.send(peer, data or part)
    end
  end)
  return function() server:close() end
end

return loop
