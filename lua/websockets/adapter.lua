-- SPDX-License-Identifier: MIT
-- What the adapters for other event loops have in common.
--
-- An adapter is a module with two functions. context(config [, loop]): websockets.context(config), served by that loop.
-- Everything else is as with any other context, except that service() need not be called. The loop keeps the context
-- alive until context:destroy(), after which nothing of it is left in the loop. connect(url [, options [, loop]]):
-- websockets.connect(url, options), in a context for clients that is the loop's, which it keeps while it has something
-- to wait for.

local websockets = require 'websockets'

local host_context = select(-1, ...)

local adapter = {}

local hosts = setmetatable({}, { __mode = 'k' }) -- a context -> what serves the default context by the same loop
local client_contexts = setmetatable({}, { __mode = 'kv' }) -- a loop -> its context for clients
local failures = {} -- a context, while connect() makes a client of it -> true, or { an error of watch() }

local function check_type(value, expected, place, name)
  if type(value) == expected then return end
  error(("bad argument #%d to '%s' (%s expected, got %s)"):format(place, name, expected, type(value)), 3)
end

-- Whether each descriptor is to be watched.
local function read_options(options)
  for key in pairs(options) do
    if type(key) == 'string' and key ~= 'each_fd' then
      error(("websockets.adapter has no option '%s', but each_fd"):format(key), 3)
    end
  end
  return options.each_fd
end

-- What serves a context while it has something to wait for: returns the functions that have its descriptor watched, and
-- not any more.
local function host_of(watch)
  return function(context)
    local stop
    return function(fd)
      local is_watched = false -- some call back at once: nothing may happen within connect()
      local ok, result = pcall(watch, fd, function()
        if is_watched then context:service(0) end
      end)
      if ok then
        stop, is_watched = result, true
      elseif failures[context] then
        failures[context] = { result }
      else
        error(result, 0)
      end
    end, function()
      if stop then stop() end
      stop = nil
    end
  end
end

-- The default context is served along by a loop that serves another one.
local function serve_default_along(context, host)
  hosts[context] = host
  host_context(host)
end

local function create(config, watch, one_fd)
  local own = { one_fd = one_fd }
  local context, failure
  local stop = {}

  function own.on_add_fd(fd)
    local ok, result = pcall(watch, fd, function(revents)
      if context then context:service_fd(fd, revents or 'r') end
    end)
    if ok then
      stop[fd] = result
    elseif context then
      error(result, 0)
    else
      failure = failure or result
    end
  end

  function own.on_del_fd(fd)
    local stop_watching = stop[fd]
    stop[fd] = nil
    if stop_watching then stop_watching() end
  end

  context = websockets.context(setmetatable(own, { __index = config }))
  if failure then
    context:destroy()
    error(failure, 0)
  end
  serve_default_along(context, host_of(watch))
  return context
end

-- Makes a context. watch(fd, serve) has the loop call serve([revents]) whenever the descriptor is readable, and returns
-- a function that ends that; serve() must not be called afterwards. An error of watch() is raised. One descriptor stands
-- for all of the context, unless options.each_fd: then each is watched. on_add_fd, on_del_fd and one_fd of the config are
-- replaced.
function adapter.context(config, watch, options)
  if type(config) ~= 'table' then websockets.context(config) end -- which raises, at the line of its caller
  check_type(watch, 'function', 2, 'context')
  if options ~= nil then check_type(options, 'table', 3, 'context') end
  return create(config, watch, not read_options(options or {}))
end

-- A client of a context that is watched while it is busy. If it cannot be, it was idle before, so that nobody else's
-- client ends with it.
local function connect_in(context, url, options)
  failures[context] = true
  local ok, result = pcall(context.connect, context, url, options)
  local failure = failures[context]
  failures[context] = nil
  if not ok then error(result, 0) end
  if failure == true then return result end
  context:destroy()
  error(failure[1], 0)
end

-- Makes a client. watch(fd, serve): as above, of a loop that is named by `key`, default: `watch`.
function adapter.connect(url, options, watch, key)
  check_type(watch, 'function', 3, 'connect')
  key = key or watch
  local context = client_contexts[key]
  if not (context and pcall(context.events, context)) then
    context = websockets.context {}
    client_contexts[key] = context
    local host = host_of(watch)
    host_context(host, context)
    serve_default_along(context, host)
  end
  return connect_in(context, url, options)
end

-- Has the default context, which somebody waits in, served by a loop, unless it is.
function adapter.serve_default(context, watch)
  if not hosts[context] then serve_default_along(context, host_of(watch)) end
end

return adapter
