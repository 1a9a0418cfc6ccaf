-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

local ws = websockets.connect(arg[1] or 'ws://localhost:8080/')
ws:write 'hello' -- as soon as it is open
ws:on_receive(function(ws, data)
  print(data)
  ws:close()
end)
ws:on_closed(function(ws, code, reason, failure)
  if failure then print(failure) end
end)
websockets.run()
