-- SPDX-License-Identifier: MIT
-- Waiting in place of callbacks: receive, messages, wait_open, wait_closed, drain, spawn, sleep, handler. Loaded with the
-- module itself, by src/lua/wrap_waits.cpp, which has the functions that this is built on (`core`).
--
-- Who waits is a *thread*: a table that stands for a coroutine, or for what runs outside of coroutines, which serves the
-- context meanwhile. It is noted where the event will be seen, and suspended; who sees the event gives the reason, and
-- has it go on at the end of the round.

local core, websocket, context, websockets, functions, endings, threads = ...
if type(core) ~= 'table' then
  require 'websockets'
  return package.loaded['websockets.waits']
end

local create, resume, status, yield = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield
local unpack = table.unpack or unpack
local traceback = debug and debug.traceback
  or function(co, text) return type(co) == 'thread' and text or co end
local take, raise = core.take, core.raise
local context_of, state_of = websocket.context, websocket.state
websocket.close_status = core.close_status
local service, after = context.service, context.after
-- C functions can call others that yield, and go on.
local can_continue = _VERSION ~= 'Lua 5.1' and _VERSION ~= 'Lua 5.2'
local can_iterate_in_coroutines = _VERSION ~= 'Lua 5.1' or jit -- there an iterator cannot yield

-- The places of a thread; false: there is nothing. Why it goes on: true, 'timeout', 'cancelled'; false: it waits, or is
-- running. The context in which it waits; the queue of the inbox where it is noted; its next wait ends at once.
local COROUTINE, WHY, CONTEXT, QUEUE, IS_CANCELLED = 1, 2, 3, 4, 5
local RECEIVER = 1 -- the place in the queue of an inbox of the thread that is noted there
local DONE, AGAIN = core.done, core.again
local WAKE = {} -- what a coroutine that was suspended by park() is resumed with by us

local schedulers = {} -- whose coroutines are resumed by themselves: see add_scheduler()
local depth = 0 -- of coroutines that have started others
local wait_count = 0
local MOST_DEPTH = 16

local function pack(...) return { n = select('#', ...), ... } end

local function tell_where(why) return traceback(core.describe(why), 2) end

local function check_seconds(seconds, name, place)
  if seconds == nil or (type(seconds) == 'number' and seconds >= 0 and seconds <= 1e9) then return end
  raise(("bad argument #%d to '%s' (a number of seconds expected)"):format(place, name))
end

local function check_function(fn, name)
  if type(fn) == 'function' then return end
  raise(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(fn)))
end

-- --- Threads ---------------------------------------------------------------------------------------------------------

local function new_thread(co) return { co, false, false, false, false } end

-- Has a thread go on that waits, for a reason: true, 'timeout', 'cancelled'.
local function wake(thread, why)
  if thread[WHY] or not thread[CONTEXT] then return end
  thread[WHY] = why
  core.make_ready(thread[CONTEXT], thread)
end

-- The same of each in a set, in the order in which they began to wait.
local function wake_all(set, why)
  local list = {}
  for thread in pairs(set) do
    list[#list + 1] = thread
  end
  table.sort(list, function(one, other) return one.number < other.number end)
  for _, thread in ipairs(list) do
    wake(thread, why)
  end
end

-- Forgets all about the last wait of a thread: where it was noted, its timer.
local function leave(thread)
  local queue, timer, others, target = thread[QUEUE], thread.timer, thread.others, thread.target
  if queue then
    if queue[RECEIVER] == thread then core.note_receiver(queue, false) end
    thread[QUEUE] = false
  end
  if others then
    others[thread] = nil
    thread.others = nil
  end
  if target then
    target[thread] = nil
    thread.target = nil
  end
  if timer then
    timer:cancel()
    thread.timer = nil
  end
  thread[CONTEXT], thread[WHY] = false, false
end

-- Their threads wait natively whether or not the adapter was asked for.
local function load_adapters()
  for _, name in ipairs { 'copas', 'cqueues' } do
    local adapter = 'websockets.' .. name
    if package.loaded[name] and package.loaded[adapter] == nil then pcall(require, adapter) end
  end
end

-- Who resumes the running coroutine, if it is not us.
local function find_scheduler(co)
  load_adapters()
  local possible
  for _, scheduler in ipairs(schedulers) do
    local owns = scheduler.owns(co)
    if owns then return scheduler end
    if owns == nil then possible = scheduler end
  end
  return possible
end

-- The thread that runs, which is about to wait in a context. Raises in a callback.
local function begin(in_context, name)
  local co = core.place(name)
  local waits = core.waits(in_context)
  local thread = threads[co]
  if not thread then
    thread = new_thread(co)
    if co then threads[co] = thread end
  end
  if thread[CONTEXT] then leave(thread) end -- that never came to an end, as its coroutine could not yield
  if co and not thread.waits then thread.scheduler = find_scheduler(co) end
  return thread, waits
end

-- Its coroutine does not wait any more by receive_now(), nor may it.
local function forget_last_queue(thread)
  if thread.last_queue then core.forget_receiver(thread.last_queue, thread[COROUTINE]) end
  thread.last_queue = nil
end

-- Whether its coroutine waits for a message by receive_now().
local function awaits_message(thread)
  return thread.last_queue ~= nil and core.is_awaited(thread.last_queue, thread[COROUTINE])
end

-- Suspends the running coroutine. Returns what it is resumed with. No function in C: on LuaJIT lua_yield() takes a
-- finalizer that has resumed the coroutine for a hook, and leaves a frame behind that the next resumption crashes on.
local function park() return (yield()) end

-- Whether a thread is suspended until it is woken: its coroutine may not have been able to yield.
local function is_suspended(thread)
  local scheduler = thread.scheduler
  return core.is_suspended_in(thread[COROUTINE], scheduler and scheduler.park or park)
end

-- Whether a thread waits indeed, and is noted.
local function is_waiting(thread)
  if thread[WHY] or not thread[CONTEXT] then return false end
  return not thread[COROUTINE] or is_suspended(thread)
end

local function serve_until_woken(thread)
  local in_context = thread[CONTEXT]
  while not thread[WHY] do
    if core.is_idle(in_context) then raise 'websocket: nothing is left that could end this wait' end
    service(in_context, -1)
  end
end

local function serve(thread)
  local ok, why = pcall(serve_until_woken, thread)
  if ok then return end
  leave(thread)
  error(why, 0)
end

-- Suspends the running coroutine until its thread is woken. False: a stranger has resumed it.
local function suspend(thread, in_context)
  local scheduler = thread.scheduler
  if scheduler and core.is_default(in_context) then scheduler.serve(in_context) end
  if thread[WHY] then return true end -- a finalizer has done it
  if not scheduler then return park() == WAKE end
  thread.is_woken = false
  return scheduler.park(thread)
end

-- Its coroutine was resumed by a stranger, who gets the error: nobody else would see that it has come to an end.
local function raise_of_stranger(thread)
  if thread.waits then core.make_ready(thread.context, thread) end
  raise 'websocket: a coroutine that waits was resumed by somebody else'
end

-- Waits until somebody wakes the thread, who has been told of it. Returns why: true, 'timeout', 'cancelled'.
local function wait(thread, in_context, seconds)
  wait_count = wait_count + 1
  thread[CONTEXT], thread.number = in_context, wait_count
  if thread[IS_CANCELLED] then
    thread[IS_CANCELLED] = false
    leave(thread)
    return 'cancelled'
  end
  if seconds then
    thread.timer = after(in_context, seconds, function()
      thread.timer = nil
      wake(thread, 'timeout')
    end)
  end
  if not thread[COROUTINE] then
    serve(thread)
  elseif not suspend(thread, in_context) then
    leave(thread)
    raise_of_stranger(thread)
  end
  local why = thread[WHY]
  leave(thread)
  return why
end

-- What is left of a time.
local function left(deadline)
  if not deadline then return nil end
  return math.max(0, deadline - core.now())
end

-- Waits until check(...) returns something, which it is asked again whenever the thread was woken. note(thread, waits)
-- tells who will wake it.
local function wait_until(in_context, name, seconds, note, check, a, b)
  local function first(...)
    if select('#', ...) > 0 then return true, ... end
    return false
  end
  local results = pack(first(check(a, b)))
  if results[1] then return unpack(results, 2, results.n) end
  local thread, waits = begin(in_context, name)
  local deadline = seconds and core.now() + seconds
  if seconds == 0 and thread[COROUTINE] then return nil, 'timeout' end
  while true do
    note(thread, waits, a)
    local why = wait(thread, in_context, left(deadline))
    results = pack(first(check(a, b)))
    if results[1] then return unpack(results, 2, results.n) end
    if why ~= true then return nil, why end
  end
end

-- --- Spawning --------------------------------------------------------------------------------------------------------

local Thread = {}
local thread_metatable = { __index = Thread, __metatable = 'websockets.thread' }

local function check_thread(thread, name)
  if type(thread) ~= 'table' or getmetatable(thread) ~= 'websockets.thread' then
    raise(("bad argument #1 to '%s' (websockets.thread expected, got %s)"):format(name, type(thread)))
  end
end

function thread_metatable.__tostring(thread)
  return ('thread: %s (%s)'):format(thread.name or tostring(thread[COROUTINE]):match '%S+$', Thread.status(thread))
end

-- It has come to an end.
local function finish(thread, results)
  local waits = thread.waits
  if not waits then return end
  if thread[CONTEXT] then leave(thread) end -- a wait that failed
  thread.results, thread.waits = results, nil
  waits.threads[thread] = nil
  forget_last_queue(thread)
  wake_all(thread.joiners or {}, true)
  thread.joiners = nil
  if thread.on_end then thread.on_end(thread.websocket, results) end
  thread.name = tostring(thread[COROUTINE]):match '%S+$'
  thread[COROUTINE], thread.on_end = false, nil
end

-- Somebody else has resumed its coroutine, which has failed, or has closed it.
local function finish_if_dead(thread)
  if not thread[COROUTINE] or status(thread[COROUTINE]) ~= 'dead' then return end
  finish(thread, pack(nil, 'failed', 'websocket: the coroutine was ended by somebody else'))
end

local function body(thread, fn, ...) return finish(thread, pack(true, fn(...))) end

-- An error of a coroutine is told once. Returns it if it is an interruption, which is no fault of the coroutine.
local function fail(thread, co, why)
  local in_context = thread.context or thread[CONTEXT]
  leave(thread)
  if core.is_interruption(why) then
    finish(thread, pack(nil, 'failed', why))
    return why
  end
  core.report(in_context, thread.websocket, traceback(co, core.describe(why))) -- its websocket is open still
  finish(thread, pack(nil, 'failed', why))
end

-- That was resumed with a message.
local function fail_receiver(waits, co, why)
  local thread = threads[co] or new_thread(co)
  thread.context = thread.context or waits.context
  return fail(thread, co, why)
end

-- Resumes the coroutine of a thread. Returns an interruption.
local function step(thread, ...)
  local co, in_context = thread[COROUTINE], thread[CONTEXT]
  depth = depth + 1
  local ok, why = resume(co, ...)
  depth = depth - 1
  if ok then return end
  thread.context = thread.context or in_context
  return fail(thread, co, why)
end

local function start(thread)
  local arguments = thread.arguments
  thread.arguments = nil
  return step(thread, thread, unpack(arguments, 1, arguments.n))
end

-- Starts a coroutine: at once where the context is served, else when it will be. `on_end` is called with the websocket
-- and what join() returns.
local function spawn(in_context, on_end, ws, ...)
  local waits = core.waits(in_context)
  local thread = setmetatable(new_thread(create(body)), thread_metatable)
  thread.context, thread.waits, thread.on_end, thread.websocket = in_context, waits, on_end, ws
  thread.arguments = pack(...)
  threads[thread[COROUTINE]] = thread
  waits.threads[thread] = true
  if core.in_round(in_context) and depth < MOST_DEPTH then
    local interruption = start(thread)
    if interruption then error(interruption, 0) end
  else
    core.make_ready(in_context, thread)
  end
  return thread
end

function context.spawn(in_context, fn, ...)
  core.check_context(in_context, 'spawn')
  check_function(fn, 'spawn')
  return spawn(in_context, nil, nil, fn, ...)
end

-- "waiting", "running", "ended"; a coroutine that has yielded to somebody else is "suspended".
function Thread.status(thread)
  check_thread(thread, 'status')
  finish_if_dead(thread)
  if thread.results then return 'ended' end
  if thread.arguments or thread[CONTEXT] or awaits_message(thread) then return 'waiting' end
  return status(thread[COROUTINE]) == 'suspended' and 'suspended' or 'running'
end

local function note_joiner(joiner, waits, thread)
  thread.joiners = thread.joiners or {}
  thread.joiners[joiner], waits.others[joiner] = true, true
  joiner.others, joiner.target = waits.others, thread.joiners
end

local function results_of(thread)
  finish_if_dead(thread)
  if thread.results then return unpack(thread.results, 1, thread.results.n) end
end

function Thread.join(thread, seconds)
  check_thread(thread, 'join')
  check_seconds(seconds, 'join', 1)
  if thread[COROUTINE] and thread[COROUTINE] == coroutine.running() then
    raise 'websocket: a thread cannot join itself'
  end
  return wait_until(thread.context, 'join', seconds, note_joiner, results_of, thread)
end

function Thread.cancel(thread)
  check_thread(thread, 'cancel')
  finish_if_dead(thread)
  if thread.results then return false end
  if thread.arguments then -- it has not begun
    thread.arguments = nil
    finish(thread, pack(nil, 'cancelled'))
  elseif awaits_message(thread) then
    core.cancel_receiver(thread.last_queue, thread.last_context)
  elseif is_waiting(thread) then
    wake(thread, 'cancelled')
  else
    thread[IS_CANCELLED] = true
    forget_last_queue(thread) -- so that it looks
  end
  return true
end

local function note_other(thread, waits)
  waits.others[thread] = true
  thread.others = waits.others
end

function websockets.sleep(seconds)
  if seconds == nil then raise "bad argument #1 to 'sleep' (a number of seconds expected)" end
  check_seconds(seconds, 'sleep', 1)
  local in_context = core.current_context()
  local thread, waits = begin(in_context, 'sleep')
  note_other(thread, waits)
  local why = wait(thread, in_context, seconds)
  if why == 'timeout' then return true end
  return nil, why
end

-- --- Messages --------------------------------------------------------------------------------------------------------

-- Whether a thread is to have the next message.
local function receives(thread)
  local why = thread[WHY]
  if why == 'timeout' or why == 'cancelled' or not thread[CONTEXT] then return false end
  return not thread[COROUTINE] or is_suspended(thread)
end

local function check_alone(queue)
  local other = queue[RECEIVER]
  if core.has_receiver(queue) or (other and receives(other)) then
    raise 'websocket receive: somebody else waits for its messages'
  end
end

-- As take(), but what somebody else waits for.
local function take_alone(ws)
  local queue = core.queue(ws)
  if queue then check_alone(queue) end
  return take(ws)
end

local function wait_for_message(ws, seconds, queue)
  local in_context = context_of(ws)
  local thread = begin(in_context, 'receive')
  if seconds == 0 then
    if not thread[COROUTINE] then
      service(in_context, 0)
      local data, kind, code, reason, failure = take_alone(ws)
      if data ~= nil then return data, kind end
      if kind ~= nil then return nil, kind, code, reason, failure end
    end
    return nil, 'timeout'
  end
  local deadline = seconds and core.now() + seconds
  while true do
    check_alone(queue)
    thread[QUEUE] = queue
    core.note_receiver(queue, thread)
    if thread[COROUTINE] and not thread.scheduler and not core.is_awaited(queue) then
      if thread.last_queue ~= queue then forget_last_queue(thread) end
      core.note_last_receiver(queue, thread)
      thread.last_queue, thread.last_context = queue, in_context -- where it may wait without being noted
    end
    local why = wait(thread, in_context, left(deadline))
    if why == 'cancelled' then return nil, why end
    local data, kind, code, reason, failure = take(ws)
    if data ~= nil then return data, kind end
    if kind ~= nil then return nil, kind, code, reason, failure end
    if why ~= true then return nil, why end
    queue = code
  end
end

-- What is no message, or has to wait; any other token is of a stranger.
local function receive_slowly(ws, seconds, token)
  if token ~= AGAIN then
    local thread = threads[coroutine.running()]
    if thread then forget_last_queue(thread) end
    raise_of_stranger(thread or {})
  end
  core.check_websocket(ws, 'receive')
  check_seconds(seconds, 'receive', 1)
  local data, kind, code, reason, failure = take_alone(ws)
  if data ~= nil then return data, kind end
  if kind ~= nil then return nil, kind, code, reason, failure end
  return wait_for_message(ws, seconds, code)
end

local receive, next_message = core.make_receive(receive_slowly), core.make_next_message(receive_slowly)
if not can_continue then
  local receive_now = receive
  function receive(ws, seconds)
    local data, kind, token = receive_now(ws, seconds)
    if not token then -- see park()
      data, kind, token = yield()
    end
    if token == DONE then return data, kind end
    return receive_slowly(ws, seconds, token)
  end
  function next_message(ws) return receive(ws) end
  core.note_receive(receive)
end
websocket.receive = receive

function websocket.messages(ws)
  core.check_websocket(ws, 'messages')
  if not can_iterate_in_coroutines and coroutine.running() then
    raise('websocket messages: Lua 5.1 cannot wait in an iterator within a coroutine: while true do local data = '
      .. 'ws:receive() …')
  end
  return next_message, ws
end

-- --- Other events ----------------------------------------------------------------------------------------------------

local function note_watcher(thread, waits, ws)
  local others = waits.watched[ws]
  if not others then
    others = {}
    waits.watched[ws] = others
  end
  others[thread] = true
  thread.others = others
  core.watch(ws, true)
end

local function closed(ws) return nil, 'closed', websocket.close_status(ws) end

local function is_open(ws)
  local state = state_of(ws)
  if state == 'open' then return true end
  if state == 'closed' then return closed(ws) end
end

local function wait_for_event(ws, name, seconds, note, check)
  core.check_websocket(ws, name)
  check_seconds(seconds, name, 1)
  return wait_until(context_of(ws), name, seconds, note, check, ws)
end

function websocket.wait_open(ws, seconds) return wait_for_event(ws, 'wait_open', seconds, note_watcher, is_open) end

local function has_drained(ws, bytes)
  local state = state_of(ws)
  if state == 'closed' then return closed(ws) end
  if state == 'reconnecting' then return nil, 'reconnecting' end
  if state == 'open' and websocket.buffered_amount(ws) <= bytes and not core.is_broken(ws) then return true end
end

function websocket.drain(ws, bytes, seconds)
  core.check_websocket(ws, 'drain')
  if bytes ~= nil and (type(bytes) ~= 'number' or not (bytes >= 0)) then
    raise "bad argument #1 to 'drain' (a number of bytes expected)"
  end
  check_seconds(seconds, 'drain', 2)
  return wait_until(context_of(ws), 'drain', seconds, note_watcher, has_drained, ws, bytes or 0)
end

local function has_closed(ws)
  if state_of(ws) == 'closed' and not core.lingers(ws) then return true, websocket.close_status(ws) end
end

local function note_closing(thread, waits, ws)
  if state_of(ws) ~= 'closed' then return note_watcher(thread, waits, ws) end
  note_other(thread, waits)
  waits.lingering = waits.lingering or {}
  waits.lingering[thread] = true
  thread.target = waits.lingering
  core.await_end(ws)
end

function websocket.wait_closed(ws, seconds) return wait_for_event(ws, 'wait_closed', seconds, note_closing, has_closed) end

local function end_handler(ws, results)
  if results[1] then
    websocket.close(ws, 1000)
  elseif results[2] == 'failed' then
    core.fail(ws, 'the handler failed')
  else
    websocket.close(ws, 1001)
  end
end

-- A protocol, each of whose websockets has a coroutine.
function websockets.handler(fn)
  check_function(fn, 'handler')
  return function(ws)
    core.open_inbox(ws)
    spawn(context_of(ws), end_handler, ws, fn, ws)
  end
end

-- --- For LuaWaits ----------------------------------------------------------------------------------------------------

-- What nobody has received goes to the function that came in the place of the inbox.
local function flush(waits, ws)
  local inbox = waits.unread[ws]
  if not inbox then return end
  waits.unread[ws] = nil
  local ok, why = xpcall(function() core.deliver_unread(ws, inbox) end, tell_where)
  if ok then return end
  core.report(waits.context, ws, why)
  core.fail(ws, 'the handler failed')
end

-- Returns an interruption.
local function go_on(waits, thread)
  if thread.has_unread then
    flush(waits, thread.has_unread)
  elseif thread.arguments then
    return start(thread)
  elseif thread[WHY] and thread[COROUTINE] and is_suspended(thread) then
    thread.is_woken = true
    if not (thread.scheduler and thread.scheduler.wake(thread)) then return step(thread, WAKE) end
  else
    finish_if_dead(thread)
  end
end

local function note_lingered(waits)
  local lingering = waits.lingering
  waits.lingering = nil
  wake_all(lingering, true)
end

local function notify(waits, ws)
  local others = waits.watched[ws]
  waits.watched[ws] = nil
  core.watch(ws, false)
  wake_all(others or {}, true)
end

-- An inbox is full: if nobody receives for the idle timeout, the websocket is closed.
local function note_full(waits, ws)
  if not waits then waits = core.waits(context_of(ws)) end
  if waits.full[ws] then return end
  local seconds = core.idle_timeout(ws)
  if not seconds then return end
  local function check()
    waits.full[ws] = nil
    local full_for = core.full_for(ws)
    if not full_for then return end
    if full_for >= seconds then return core.fail(ws, 'nobody receives') end
    waits.full[ws] = after(waits.context, seconds - full_for, check)
  end
  waits.full[ws] = after(waits.context, seconds, check)
end

local function note_end(waits, ws, reason, failure, inbox)
  endings[ws] = { reason, failure, inbox }
  if not waits then return end
  if waits.full[ws] then waits.full[ws]:cancel() end
  waits.full[ws] = nil
  waits.unread[ws] = nil
  notify(waits, ws)
end

local function note_destroyed(waits)
  for thread in pairs(waits.threads) do
    if thread.arguments then thread:cancel() end
  end
  wake_all(waits.others, 'cancelled')
end

local function give_up_inbox(waits, ws, inbox, has_messages)
  waits = waits or core.waits(context_of(ws))
  if not has_messages then return end
  waits.unread[ws] = inbox
  core.make_ready(waits.context, { has_unread = ws })
end

functions[1], functions[2], functions[3] = go_on, notify, note_full
functions[4], functions[5], functions[6] = note_end, note_destroyed, give_up_inbox
-- Other processes have them.
local function give_up(waits)
  waits.others = {}
  for thread in pairs(waits.threads) do
    thread.joiners, thread.arguments = nil, nil
    finish(thread, pack(nil, 'cancelled'))
  end
end

functions[7], functions[8], functions[9], functions[10] = flush, note_lingered, fail_receiver, give_up

-- --- For adapters ----------------------------------------------------------------------------------------------------

return {
  -- Somebody who resumes his coroutines himself. owns(coroutine): whether the running one is his; nil: it will turn out.
  -- park(thread) suspends it until thread.is_woken; false: a stranger has resumed it. wake(thread): has it go on, as
  -- thread.is_woken was set; false: it is not his, so that we resume it. serve(context): the default context, in which
  -- one of his waits, needs somebody who serves it.
  add_scheduler = function(scheduler) table.insert(schedulers, scheduler) end,
  -- The scheduler has given up a coroutine, which may have been waiting. Returns its thread, or nil.
  forget = function(co)
    local thread = co and threads[co]
    if thread then leave(thread) end
    return thread
  end,
}
