-- SPDX-License-Identifier: MIT
-- proxy.lua again, without callbacks: two coroutines for each websocket, each of which takes a message from one side
-- only when the other side has room for it.
-- Usage: lua proxy-coroutines.lua [port [URL of the server [subprotocol]]]
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
  while true do
    local data, type, code, reason, failure = from:receive()
    if not data then
      if failure then print(failure) end
      return end_like(to, code, reason)
    end
    to:write(data, type)
    to:drain(high)
  end
end

local context
context = websockets.context {
  port = port,
  max_backpressure = limit,
  protocols = {
    [protocol] = websockets.handler(function(ws)
      local server = websockets.connect(target .. ws:request().uri, {
        protocols = { protocol },
        max_backpressure = limit,
      })
      local back = context:spawn(pump, server, ws)
      pump(ws, server)
      back:join()
    end),
  },
}

print(('Start a client with ws://localhost:%s/, and the server %s'):format(port, target))
io.stdout:flush()
os.exit((context:run()))
