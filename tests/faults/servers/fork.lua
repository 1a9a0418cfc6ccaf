-- SPDX-License-Identifier: MIT
-- What is noted in the forked process is lost, so nobody counts who was closed.
extra = {
  protocols = {
    echo = function(ws)
      note 'open'
      ws:on_receive(function(_, data, type) ws:write(data, type) end)
    end,
  },
}
local server = dofile(folder .. '/messages.lua')

function server.fork()
  local result, why = server.context():fork_service_loop()
  assert(result == 0 or why ~= nil)
end

return server
