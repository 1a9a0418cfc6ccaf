-- SPDX-License-Identifier: MIT
-- Ctrl-C: lua and luajit raise 'interrupted!', by a hook, in whatever runs.

local assert = require 'luassert'
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'

local interruption = {}

-- What a hook takes in the registry is there for ever.
debug.sethook(print, '', 1000000)
debug.sethook()

-- Raises it.
function interruption.raise()
  debug.sethook(function()
    debug.sethook()
    error 'interrupted!'
  end, '', 1)
  while true do end
end

-- Sends SIGINT to a remote server whose callback sends something and then never ends, and expects that its call of
-- pcall, which was begun, returns the interruption.
function interruption.expect_in_callback(server, port)
  local c = client.open({}, port, 'p')
  c:text 'x'
  loop.serve_until({}, function() return c:pump() end, 'a part of the message')
  remote.signal(server.pid, 'INT')
  local succeeded, why = server:result()
  assert.is_false(succeeded)
  assert.matches('interrupted!$', why)
end

return interruption
