-- SPDX-License-Identifier: MIT
-- Serves contexts from luv's loop (libuv): see websockets.adapter.
--
--   local context = require('websockets.luv').context { port = 8080, protocols = { … } }
--   require('luv').run()

local adapter = require 'websockets.adapter'
local uv = require 'luv'

-- A value on whose end fn() is called.
local function with_finalizer(fn)
  local proxy = newproxy and newproxy(true) -- tables have no finalizers in Lua 5.1
  if not proxy then return setmetatable({}, { __gc = fn }) end
  getmetatable(proxy).__gc = fn
  return proxy
end

-- luv crashes when the program ends while a handle is closing. Then all are closed here, as luv would do it.
local function close_all()
  uv.walk(function(handle)
    if not handle:is_closing() then handle:close() end
  end)
  uv.run 'nowait'
end

local function close(poll)
  local guard
  local is_closing = true
  poll:close(function()
    guard, is_closing = nil, false
  end)
  guard = with_finalizer(function()
    if is_closing then close_all() end
  end)
end

local function watch(fd, serve)
  local poll = assert(uv.new_poll(fd))
  assert(poll:start('r', function() serve() end))
  -- At the end of the program Lua may have finalized it before the context.
  return function() pcall(close, poll) end
end

return {
  context = function(config) return adapter.context(config, watch) end,
}
