-- SPDX-License-Identifier: MIT
-- luv's loop. What each file here has: context(config), connect(url), by the adapter; step(timeout_ms), which runs the
-- loop for at most so long; thread(fn): a coroutine, as those of the loop are; every(seconds, fn) -> function that ends
-- it; echo(port) -> likewise, a TCP server made with the loop's own means, which sends back what its one client says.
-- Loops that have threads of their own have talk(port, text), too: a thread says it there, waits for the same by the
-- means of the loop, and returns that.

local uv = require 'luv'

local luv = {}

luv.context = require('websockets.luv').context
luv.connect = require('websockets.luv').connect

local deadline = uv.new_timer()
deadline:unref()

-- What the loop keeps from the first use on.
deadline:start(0, 0, function() end)
uv.new_tcp():close()
uv.run 'nowait'

function luv.step(timeout_ms)
  if timeout_ms == 0 then return uv.run 'nowait' end
  if timeout_ms > 0 then
    deadline:start(math.ceil(timeout_ms), 0, function() end)
    deadline:ref()
  end
  uv.run 'once'
  deadline:stop()
end

function luv.thread(fn) coroutine.wrap(fn)() end

function luv.every(seconds, fn)
  local timer = uv.new_timer()
  timer:start(seconds * 1000, seconds * 1000, fn)
  return function() timer:close() end
end

function luv.echo(port)
  local server = uv.new_tcp()
  assert(server:bind('127.0.0.1', port))
  assert(server:listen(8, function()
    local peer = uv.new_tcp()
    server:accept(peer)
    peer:read_start(function(_, data)
      if data then peer:write(data) else peer:close() end
    end)
  end))
  return function() server:close() end
end

return luv
