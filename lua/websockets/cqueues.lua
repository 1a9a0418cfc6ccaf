-- SPDX-License-Identifier: MIT
-- Serves contexts from a controller of cqueues: see websockets.adapter.
--
--   local queue = require('cqueues').new()
--   local context = require('websockets.cqueues').context({ port = 8080, protocols = { … } }, queue)
--   assert(queue:loop())
--
-- Without `queue` it is the controller that is running. A context can also be polled by itself: cqueues.poll(context).
-- Callbacks run inside of service_fd, where a coroutine cannot yield; the threads of a controller can wait.

local adapter = require 'websockets.adapter'
local condition = require 'cqueues.condition'
local cqueues = require 'cqueues'
local waits = require 'websockets.waits'

local function controller(queue)
  return queue or cqueues.running() or error('outside of a controller, one has to be given', 3)
end

local function watch_in(queue)
  return function(fd, serve)
    local pollable = { pollfd = fd, events = 'r' }
    local stopped = false
    queue:wrap(function()
      while not stopped do
        cqueues.poll(pollable)
        if not stopped then serve() end
      end
    end)
    return function()
      stopped = true
      cqueues.cancel(fd)
    end
  end
end

local scheduler = {}

function scheduler.owns() return select(2, cqueues.running()) end

function scheduler.park(thread)
  thread.condition = thread.condition or condition.new()
  while not thread.is_woken do
    thread.condition:wait()
  end
  return true
end

function scheduler.wake(thread)
  thread.condition:signal()
  return true
end

function scheduler.serve(context) adapter.serve_default(context, watch_in(cqueues.running())) end

waits.add_scheduler(scheduler)

return {
  context = function(config, queue)
    queue = controller(queue)
    return adapter.context(config, watch_in(queue))
  end,
  connect = function(url, options, queue)
    queue = controller(queue)
    return adapter.connect(url, options, watch_in(queue), queue)
  end,
}
