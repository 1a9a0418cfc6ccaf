-- SPDX-License-Identifier: MIT
-- Hands websockets on to another server, and never holds more of what they say than it has to: who sends faster than the
-- other side reads is not read from meanwhile, and so slowed down by TCP.
-- Usage: lua proxy.lua [port [URL of the server [subprotocol]]]
local websockets = require 'websockets'

local port, target, protocol = arg[1] or 8081, arg[2] or 'ws://localhost:8080', arg[3] or 'echo'
local high = 1024 * 1024          -- bytes that wait for the other side
local limit = 32 * 1024 * 1024    -- more than `high` and the longest message

local function end_like(ws, code, reason)
  if code == websockets.CLOSE_NO_STATUS then
    ws:close()
  elseif code == websockets.CLOSE_ABNORMAL then
    ws:close(websockets.CLOSE_BAD_GATEWAY)
  else
    ws:close(code, reason)
  end
end

local function pump(from, to)
  from:on_receive(function(from, data, type)
    to:write(data, type)
    if to:buffered_amount() > high then
      from:rx_flow_control(false)
    end
  end)
  to:on_server_writeable(function()
    from:rx_flow_control(true)
  end)
  from:on_closed(function(from, code, reason, failure)
    if failure then print(failure) end
    end_like(to, code, reason)
  end)
end

local context = websockets.context {
  port = port,
  max_backpressure = limit,
  protocols = {
    [protocol] = function(ws)
      local server = websockets.connect(target .. ws:request().uri, {
        protocols = { protocol },
        max_backpressure = limit,
      })
      pump(ws, server)
      pump(server, ws)
    end,
  },
}

print(('Start a client with ws://localhost:%s/, and the server %s'):format(port, target))
io.stdout:flush()
os.exit((context:run()))
