-- SPDX-License-Identifier: MIT
-- What the adapters for other event loops have in common.
--
-- An adapter is a module with one function, context(config [, loop]): websockets.context(config), served by that loop.
-- Everything else is as with any other context, except that service() need not be called. The loop keeps the context
-- alive until context:destroy(), after which nothing of it is left in the loop.

local websockets = require 'websockets'

local adapter = {}

-- Makes a context. watch(fd, serve) has the loop call serve([revents]) whenever the descriptor is readable, and returns
-- a function that ends that; serve() must not be called afterwards. One descriptor stands for all of the context, unless
-- options.each_fd: then each is watched. on_add_fd, on_del_fd and one_fd of the config are replaced.
function adapter.context(config, watch, options)
  local context
  local stop = {}
  local own = { one_fd = not (options and options.each_fd) }

  function own.on_add_fd(fd)
    stop[fd] = watch(fd, function(revents)
      if context then context:service_fd(fd, revents or 'r') end
    end)
  end

  function own.on_del_fd(fd)
    local stop_watching = stop[fd]
    stop[fd] = nil
    if stop_watching then stop_watching() end
  end

  context = websockets.context(setmetatable(own, { __index = config }))
  return context
end

return adapter
