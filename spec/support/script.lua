-- SPDX-License-Identifier: MIT
-- Lua programs of their own, for what happens at the end of a process or on its standard streams.

local assert = require 'luassert'

local script = {}

-- The sanitizers' libraries keep themselves out of children; but these are what has to be looked at.
local function sanitizers()
  local file = io.open '/proc/self/environ'
  if not file then return nil end
  local preloaded = ('\0' .. file:read '*a'):match '%zLD_PRELOAD=(%Z+)'
  file:close()
  return preloaded and preloaded:find('libasan', 1, true) and preloaded or nil
end

function script.is_sanitized() return sanitizers() ~= nil end

-- The command of the shell that is this Lua.
function script.interpreter()
  local preloaded = sanitizers()
  local lua = os.getenv 'LUA' or arg[-1]
  return (preloaded and ("env LD_PRELOAD='%s' "):format(preloaded) or '') .. lua
end

-- Writes a program to a file; returns its path, and the command of the shell that runs it with the same Lua.
function script.write(text)
  local path = os.tmpname()
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
  return path, script.interpreter() .. ' ' .. path
end

-- Runs a program, and returns what it wrote, to stderr too. It has to succeed. `max_descriptors`: how many it
-- may have open; nil: as many as this process. `leaves_all`: it ends without closing its Lua state, so what that state
-- has is no leak: LeakSanitizer does not look into the memory of LuaJIT.
function script.run(text, max_descriptors, leaves_all)
  local path, command = script.write(text)
  if leaves_all then command = 'ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" ' .. command end
  if max_descriptors then command = ('(ulimit -n %d && %s)'):format(max_descriptors, command) end
  local pipe = assert(io.popen(command .. ' 2>&1; echo "status $?"'))
  local output = pipe:read '*a'
  pipe:close()
  os.remove(path)
  local written, status = output:match '^(.*)status (%d+)\n$'
  assert.equal('0', status, output)
  return written
end

return script
