-- SPDX-License-Identifier: MIT
-- Programs beside the spec, which serves a context meanwhile.

local loop = require 'spec.support.loop'

local command = {}

local function contents_of(path)
  local file = io.open(path, 'rb')
  if not file then return nil end
  local contents = file:read '*a'
  file:close()
  return contents
end

-- Runs a shell script, and serves the context until it has ended. Returns what it wrote, to stderr too, and its status.
-- It is not preloaded what this process is.
function command.run(ctx, text)
  local base = os.tmpname()
  local script = assert(io.open(base, 'w'))
  script:write('unset LD_PRELOAD\n', text, '\n')
  script:close()
  os.execute(('(sh %s >%s.out 2>&1; echo $? >%s.tmp; mv %s.tmp %s.status) </dev/null &'):gsub('%%s', base))
  loop.serve_until(ctx, function() return contents_of(base .. '.status') end, 'the end of: ' .. text)
  local output, status = contents_of(base .. '.out'), tonumber(contents_of(base .. '.status'))
  for _, suffix in ipairs { '', '.out', '.status' } do
    os.remove(base .. suffix)
  end
  return output, status
end

return command
