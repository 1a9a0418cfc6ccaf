-- SPDX-License-Identifier: MIT
-- A controller of cqueues: see luv.lua.

local cqueues = require 'cqueues'
local socket = require 'cqueues.socket'

local loop = {}

local queue = cqueues.new()
socket.listen('127.0.0.1', 0):close() -- what it keeps from the first use on is there now

function loop.context(config) return require('websockets.cqueues').context(config, queue) end

function loop.connect(url, options) return require('websockets.cqueues').connect(url, options, queue) end

function loop.step(timeout_ms) assert(queue:step(timeout_ms >= 0 and timeout_ms / 1000 or nil)) end

function loop.thread(fn) queue:wrap(fn) end

function loop.talk(port, text)
  local peer = assert(socket.connect('127.0.0.1', port))
  peer:setmode('bn', 'bn')
  assert(peer:write(text))
  local answer = peer:read(#text)
  peer:close()
  return answer
end

function loop.every(seconds, fn)
  queue:wrap(function()
    while fn do
      cqueues.sleep(seconds)
      if fn then fn() end
    end
  end)
  return function() fn = nil end
end

function loop.echo(port)
  local server = assert(socket.listen('127.0.0.1', port))
  assert(server:listen())
  queue:wrap(function()
    local peer = server:accept()
    peer:setmode('bn', 'bn')
    local data = peer:read(-4096)
    while data do
      peer:write(data)
      data = peer:read(-4096)
    end
    peer:close()
  end)
  return function() server:close() end
end

return loop
