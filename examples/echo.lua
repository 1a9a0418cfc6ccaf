-- SPDX-License-Identifier: MIT
local websockets = require 'websockets'

local context = websockets.context {
  port = 8080,
  protocols = {
    echo = function(ws)
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,
  },
}

while true do
  context:service(-1)
end
