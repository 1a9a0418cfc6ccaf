-- SPDX-License-Identifier: MIT
-- Serves contexts from a loop of lua-ev (libev): see websockets.adapter.
--
--   local context = require('websockets.ev').context { port = 8080, protocols = { … } }
--   require('ev').Loop.default:loop()
--
-- Each descriptor has a watcher of its own, as scripts for lua-ev have always done it: what is ready is served in the
-- order, and with the priority, that libev gives to it.

local adapter = require 'websockets.adapter'
local ev = require 'ev'

local function watch_in(loop)
  return function(fd, serve)
    local watcher = ev.IO.new(function(_, _, revents) serve(revents) end, fd, ev.READ)
    watcher:start(loop)
    return function() watcher:stop(loop) end
  end
end

return {
  context = function(config, loop)
    return adapter.context(config, watch_in(loop or ev.Loop.default), { each_fd = true })
  end,
  connect = function(url, options, loop)
    loop = loop or ev.Loop.default
    return adapter.connect(url, options, watch_in(loop), loop)
  end,
}
