-- SPDX-License-Identifier: MIT
-- What the adapter for lua-ev, and scripts like it, need of lua-ev, which Debian does not have: its loop, IO, Timer and
-- Signal, with the same arguments in and out, made on luv. As there, a watcher that is stopped is not called any more,
-- even if its event is pending; a loop ends when nothing is left to wait for, or by unloop() at the end of the iteration.

local uv = require 'luv'

-- Numbers with a fraction, as they are there.
local ev = { READ = 1.0, WRITE = 2.0, TIMEOUT = 256.0, SIGINT = 2, Loop = {}, IO = {}, Timer = {}, Signal = {} }

local loop = {}
loop.__index = loop

local closing = 0 -- handles that luv refers to still

-- A watcher that was stopped is gone in libev. In libuv its handle is, at the end of an iteration; since libuv 1.45
-- that is before the timers, one of which may have ended the loop.
function loop.loop()
  uv.run()
  while closing > 0 do
    uv.run 'nowait'
  end
end

function loop.unloop() uv.stop() end

ev.Loop.default = setmetatable({}, loop)

local function define(class, make_handle, start_handle)
  class.__index = class

  function class.new(callback, ...)
    assert(type(callback) == 'function', 'a function expected')
    return setmetatable({ callback = callback, arguments = { ... } }, class)
  end

  function class:start(in_loop)
    assert(getmetatable(in_loop) == loop, 'a loop expected')
    if self.handle then return end
    self.handle = make_handle(self)
    start_handle(self, function(revents)
      if class == ev.Timer and self.arguments[2] == nil then self:stop(in_loop) end
      self.callback(in_loop, self, revents)
    end)
  end

  function class:stop(in_loop)
    assert(getmetatable(in_loop) == loop, 'a loop expected')
    if self.handle and pcall(uv.close, self.handle, function() closing = closing - 1 end) then closing = closing + 1 end
    self.handle = nil
  end

  function class:is_active() return self.handle ~= nil end
end

-- libev takes errors for readiness of both kinds.
define(ev.IO, function(io)
  return assert(uv.new_poll(io.arguments[1]))
end, function(io, fire)
  local events = io.arguments[2]
  local is_reader, is_writer = events % 2 == 1, events >= 2
  io.handle:start(is_reader and is_writer and 'rw' or is_writer and 'w' or 'r', function(failed, which)
    local readable = is_reader and (failed or which:find 'r')
    local writable = is_writer and (failed or which:find 'w')
    fire(math.floor((readable and 1 or 0) + (writable and 2 or 0)))
  end)
end)

define(ev.Timer, uv.new_timer, function(timer, fire)
  local after, again = timer.arguments[1], timer.arguments[2] or 0
  timer.handle:start(math.ceil(after * 1000), math.ceil(again * 1000), function() fire(ev.TIMEOUT) end)
end)

define(ev.Signal, uv.new_signal, function(signal, fire)
  signal.handle:start(signal.arguments[1], fire)
end)

return ev
