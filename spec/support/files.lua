-- SPDX-License-Identifier: MIT
-- What is in files.

local files = {}

function files.read(path)
  local file = assert(io.open(path))
  local text = file:read '*a'
  file:close()
  return text
end

return files
