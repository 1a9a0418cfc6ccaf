-- SPDX-License-Identifier: MIT
-- Serves contexts from Copas: see websockets.adapter.
--
--   local context = require('websockets.copas').context { port = 8080, protocols = { … } }
--   require('copas').loop()
--
-- Callbacks run inside of service_fd, where a coroutine cannot yield: what wants to wait goes into copas.addthread().

local adapter = require 'websockets.adapter'
local copas = require 'copas'

-- Ctrl-C is an error in whatever runs: on LuaJIT that may be a thread of Copas, which would print it and go on without
-- the thread. The main one gets it instead, as on other Luas.
local function interrupt_main_thread(why)
  debug.sethook(function()
    if coroutine.running() then return end
    debug.sethook()
    error(why, 0)
  end, '', 1)
end

local function serve_once(socket)
  if not jit then return copas.receive(socket) end -- elsewhere pcall() might not let it yield
  local ok, why = pcall(copas.receive, socket)
  if ok then return end
  if not tostring(why):find 'interrupted!' then error(why, 0) end
  interrupt_main_thread(why)
end

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
      serve_once(socket)
    end
  end)
  return function() stopped = true end
end

return {
  context = function(config) return adapter.context(config, watch) end,
  connect = function(url, options) return adapter.connect(url, options, watch) end,
}
