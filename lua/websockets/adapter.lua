-- SPDX-License-Identifier: MIT
-- What the adapters for other event loops have in common.
--
-- An adapter is a module with one function, context(config [, loop]): websockets.context(config), served by that loop.
-- Everything else is as with any other context, except that service() need not be called. The loop keeps the context
-- alive until context:destroy(), after which nothing of it is left in the loop.

local websockets = require 'websockets'

local adapter = {}

local function check_type(value, expected, place)
  if type(value) == expected then return end
  error(("bad argument #%d to 'context' (%s expected, got %s)"):format(place, expected, type(value)), 3)
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

-- Makes a context. watch(fd, serve) has the loop call serve([revents]) whenever the descriptor is readable, and returns
-- a function that ends that; serve() must not be called afterwards. An error of watch() is raised. One descriptor stands
-- for all of the context, unless options.each_fd: then each is watched. on_add_fd, on_del_fd and one_fd of the config are
-- replaced.
function adapter.context(config, watch, options)
  if type(config) ~= 'table' then websockets.context(config) end -- which raises, at the line of its caller
  check_type(watch, 'function', 2)
  if options ~= nil then check_type(options, 'table', 3) end
  local own = { one_fd = not read_options(options or {}) }
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
  return context
end

return adapter
