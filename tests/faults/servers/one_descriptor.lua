-- SPDX-License-Identifier: MIT
-- A loop of others, which watches one descriptor.
local server = dofile(folder .. '/messages.lua')

function server.serve(context)
  local fd = context:pollfd()
  if fd ~= nil then context:service_fd(fd, 'r') end
end

return server
