-- SPDX-License-Identifier: MIT
-- Lua programs of their own, for what happens at the end of a process or on its standard streams.

local assert = require 'luassert'

local script = {}

-- Runs the text of a program with the same Lua, and returns what it wrote, to stderr too. It has to succeed.
function script.run(text)
  local lua = os.getenv 'LUA' or arg[-1]
  local path = os.tmpname()
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(('%s %s 2>&1; echo "status $?"'):format(lua, path)))
  local output = pipe:read '*a'
  pipe:close()
  os.remove(path)
  local written, status = output:match '^(.*)status (%d+)\n$'
  assert.equal('0', status, output)
  return written
end

return script
