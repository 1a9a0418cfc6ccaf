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

local has_ended = false -- the program has, so far that luv is not to be called any more

local function close_handle(handle)
  if not handle:is_closing() then handle:close() end
end

-- luv crashes when the program ends while a handle is closing. Then all are closed here, as luv would do it.
local function close_all()
  uv.walk(function(handle) pcall(close_handle, handle) end) -- some may be finalized
  uv.run 'nowait'
  has_ended = true
end

-- A program ends by finalizing what was made last first: the contexts, then `oldest`, then luv. What its finalizers have
-- made LuaJIT finalizes after that, when luv is unloaded.
local oldest = with_finalizer(function() has_ended = true end)

local function close(poll)
  local guard
  local is_closing = true
  poll:close(function()
    guard, is_closing = nil, false
  end)
  guard = with_finalizer(function()
    if oldest and is_closing and not has_ended then close_all() end
  end)
end

local function watch(fd, serve)
  local poll = assert(uv.new_poll(fd))
  assert(poll:start('r', function() serve() end))
  -- At the end of the program Lua may have finalized it before the context.
  return function()
    if not has_ended then pcall(close, poll) end
  end
end

return {
  context = function(config) return adapter.context(config, watch) end,
  connect = function(url, options) return adapter.connect(url, options, watch) end,
}
