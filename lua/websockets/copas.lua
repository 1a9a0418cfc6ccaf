-- SPDX-License-Identifier: MIT
-- Serves contexts from Copas: see websockets.adapter.
--
--   local context = require('websockets.copas').context { port = 8080, protocols = { … } }
--   require('copas').loop()
--
-- Callbacks run inside of service_fd, where a coroutine cannot yield: what wants to wait goes into copas.addthread().

local adapter = require 'websockets.adapter'
local copas = require 'copas'

-- To Copas it is a socket on which never anything comes in: reading from it serves the context.
local function watch(fd, serve)
  local stopped = false
  local socket = {}
  function socket.getfd() return fd end
  function socket.dirty() return stopped end -- whether select need not look at the descriptor, which is closed then
  function socket.close() end
  function socket.receive()
    if stopped then return nil, 'closed' end
    serve()
    return nil, stopped and 'closed' or 'timeout'
  end

  copas.addthread(function()
    while not stopped do
      copas.receive(socket)
    end
  end)
  return function() stopped = true end
end

return {
  context = function(config) return adapter.context(config, watch) end,
  connect = function(url, options) return adapter.connect(url, options, watch) end,
}
