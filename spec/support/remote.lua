-- SPDX-License-Identifier: MIT
-- Another process with the same Lua, which does what it is told: for what happens between processes, or cannot be done
-- in this one.

local assert = require 'luassert'
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local script = require 'spec.support.script'
local socket = require 'socket'
local values = require 'spec.support.values'

local remote = {}
remote.__index = remote

local opened = {}

-- Options: command (what to run the interpreter with: variables, a wrapper), ctx (to be served meanwhile).
function remote.start(options)
  options = options or {}
  local server = assert(socket.bind('127.0.0.1', 0))
  local _, port = server:getsockname()
  os.execute(('%s %s spec/support/remote_main.lua %d </dev/null &'):format(options.command or '',
    script.interpreter(), port))
  server:settimeout(20 * loop.time_factor)
  local control = assert(server:accept())
  server:close()
  control:setoption('tcp-nodelay', true)
  control:settimeout(0)
  local self = setmetatable({ ctx = options.ctx or {} }, remote)
  self.control = client.adopt(self.ctx, control)
  opened[self] = true
  self.pid = self:call [[
    function process_id()
      local file = assert(io.open '/proc/self/stat')
      local id = tonumber(file:read('*l'):match '^%d+')
      file:close()
      return id
    end
    return process_id()
  ]]
  return self
end

-- Begins to run a program: result() tells what became of it.
function remote:begin(program, ...)
  if select('#', ...) > 0 then program = program:format(...) end
  self.control:send(('%d\n%s'):format(#program, program))
end

-- Whether begin()'s program has ended.
function remote:has_ended()
  while self.control:pump() do end
  return self.control.buffered > 0
end

-- What the program returned, which may not have raised an error.
function remote:result()
  local size = self.control:read_until '\n'
  local function check(ok, ...)
    assert.is_true(ok, ...)
    return ...
  end
  return check(values.unpack(self.control:read(tonumber(size))))
end

-- Runs a program: text with what is to be filled in by string.format.
function remote:call(program, ...)
  self:begin(program, ...)
  return self:result()
end

-- --- Processes ---

-- R, S, T, Z, … as in ps; nil: there is no such process.
function remote.state_of(pid)
  local file = io.open(('/proc/%d/stat'):format(pid))
  if not file then return nil end
  local text = file:read '*a'
  file:close()
  return text and text:match '^%d+ %(.*%) (%a)'
end

function remote.is_running(pid)
  local state = remote.state_of(pid)
  return state ~= nil and state ~= 'Z' and state ~= 'X'
end

function remote.signal(pid, name)
  os.execute(('kill -%s %d'):format(name, pid))
end

-- Until the process is stopped by SIGSTOP.
function remote.stop(pid)
  remote.signal(pid, 'STOP')
  loop.serve_until({}, function() return remote.state_of(pid) == 'T' end, 'a process to stop')
end

function remote.wait_for_end(pid)
  loop.serve_until({}, function() return not remote.is_running(pid) end, 'a process to end')
end

function remote:kill()
  remote.signal(self.pid, 'KILL')
  remote.wait_for_end(self.pid)
end

-- Lets it end by itself.
function remote:close()
  self.control:close()
  opened[self] = nil
  remote.wait_for_end(self.pid)
end

function remote.close_all()
  for self in pairs(opened) do
    self.control:close()
    remote.signal(self.pid, 'KILL')
    opened[self] = nil
  end
end

return remote
