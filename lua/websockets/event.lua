-- SPDX-License-Identifier: MIT
-- Serves contexts from an event base of lua-event (libevent): see websockets.adapter.
--
--   local base = require('luaevent.core').new()
--   local context = require('websockets.event').context({ port = 8080, protocols = { … } }, base)
--   base:loop()

local adapter = require 'websockets.adapter'
local event = require 'luaevent.core'

local function watch_in(base)
  if not base then error('an event base has to be given', 3) end
  return function(fd, serve)
    local watcher = base:addevent(fd, event.EV_READ + event.EV_PERSIST, function() serve() end)
    return function() watcher:close() end
  end
end

return {
  context = function(config, base)
    local watch = watch_in(base)
    return adapter.context(config, watch)
  end,
  connect = function(url, options, base)
    local watch = watch_in(base)
    return adapter.connect(url, options, watch, base)
  end,
}
