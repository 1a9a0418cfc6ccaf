-- SPDX-License-Identifier: MIT
-- Serves contexts from Copas: see websockets.adapter.
--
--   local context = require('websockets.copas').context { port = 8080, protocols = { … } }
--   require('copas').loop()
--
-- Callbacks run inside of service_fd, where a coroutine cannot yield; the threads of Copas can wait.

local adapter = require 'websockets.adapter'
local copas = require 'copas'
local waits = require 'websockets.waits'

-- Ctrl-C is an error in whatever runs: on LuaJIT that may be a thread of Copas, which would print it and go on without
-- the thread. The main one gets it instead, as on other Luas.
local function interrupt_main_thread(why)
  debug.sethook(function()
    if coroutine.running() then return end
    debug.sethook()
    error(why, 0)
  end, '', 1)
end

local function serve_once(socket)
  if not jit then return copas.receive(socket) end -- elsewhere pcall() might not let it yield
  local ok, why = pcall(copas.receive, socket)
  if ok then return end
  if not tostring(why):find 'interrupted!' then error(why, 0) end
  interrupt_main_thread(why)
end

-- To Copas it is a socket on which never anything comes in: reading from it serves the context.
local function watch(fd, serve)
  local stopped = false
  local socket = {}
  function socket.getfd() return fd end
  function socket.dirty() return stopped end -- whether select need not look at the descriptor, which is closed then
  function socket.close() end
  function socket.receive()
    if stopped then return nil, 'closed' end
    serve()
    return nil, stopped and 'closed' or 'timeout'
  end

  copas.addthread(function()
    while not stopped do
      serve_once(socket)
    end
  end)
  return function() stopped = true end
end

-- --- Threads that wait ------------------------------------------------------------------------------------------------

-- The set of the sockets that Copas reads from: a thread that yields a socket and this set is resumed with that socket.
local function find_reading_set()
  local socket = { close = function() end }
  function socket.receive() return nil, socket.why or 'timeout' end
  local reader = coroutine.create(copas.receive)
  local ok, yielded, set
  repeat
    ok, yielded, set = coroutine.resume(reader, socket)
  until not ok or yielded == socket -- sooner or later: it may yield to let others have a turn
  assert(ok, yielded)
  socket.why = 'closed'
  repeat
    coroutine.resume(reader)
  until coroutine.status(reader) == 'dead'
  return set
end

local reading = find_reading_set()
local owned = setmetatable({}, { __mode = 'k' }) -- a coroutine -> whether Copas resumes it, once that is known
-- Pure 5.1 has threads that consist of several coroutines, by coxpcall: which one sleeps is not known.
local can_wake = copas.wakeup and (_VERSION ~= 'Lua 5.1' or jit)
local pause = copas.pauseforever or function() copas.sleep(-1) end

-- A thread that waits is a socket to Copas. It has no descriptor, so that select() passes it over, until it has
-- something to read all of a sudden, without a look at the descriptor, which may be any.
local Waiter = {}
Waiter.__index = Waiter
function Waiter:getfd() return self.thread.is_woken and 0 or -1 end
function Waiter.dirty() return true end
function Waiter.close() end

local function is_read(waiter)
  for i = #reading, 1, -1 do
    if reading[i] == waiter then return true end
  end
  return false
end

local scheduler = {}

-- Copas cannot be asked. The first wait tells: Copas puts the socket that a thread of its own has yielded into its set.
function scheduler.owns(co) return owned[co] end

function scheduler.park(thread)
  local knows = can_wake and owned[thread[1]]
  local waiter = not knows and setmetatable({ thread = thread }, Waiter)
  while knows and not thread.is_woken do
    pause()
  end
  if thread.is_woken then return true end
  thread.waiter = waiter
  coroutine.yield(waiter, reading)
  thread.waiter = nil
  return thread.is_woken
end

function scheduler.wake(thread)
  local co = thread[1]
  if thread.waiter then owned[co] = is_read(thread.waiter) end
  if not owned[co] then return false end
  if can_wake then copas.wakeup(co) end
  return true
end

function scheduler.serve(context) adapter.serve_default(context, watch) end

waits.add_scheduler(scheduler)

-- A thread that is removed waits no more.
local remove = copas.removethread
if remove then
  function copas.removethread(co)
    local thread = waits.forget(co)
    if thread and thread.waiter then reading:remove(thread.waiter) end
    return remove(co)
  end
end

return {
  context = function(config) return adapter.context(config, watch) end,
  connect = function(url, options) return adapter.connect(url, options, watch) end,
}
