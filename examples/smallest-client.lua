-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

local ws = websockets.connect(arg[1] or 'ws://localhost:8080/')
ws:write 'hello' -- as soon as it is open
while true do
  local data, type = ws:receive()
  if not data then break end
  print(data)
end
print(ws:close_status()) -- code, reason, failure
