-- SPDX-License-Identifier: MIT
-- Usage: lua echo.lua PORT [echo | receive | compressed | broadcast | publish [CERTIFICATE KEY]]
--
-- Echoes, with 'receive' by a coroutine for each websocket, or with 'broadcast' sends each message to everyone, with
-- 'publish' to a topic that has everyone; with a certificate over TLS. 'compressed': as the client offers it, by zlib's
-- defaults. Prints its port when it can be connected to. By as many workers as the environment variable WORKERS says.

local websockets = require 'websockets'

local port = arg[1]
local context

local serve = {
  echo = function(ws)
    ws:on_receive(function(ws, data, type)
      ws:write(data, type)
    end)
  end,

  broadcast = function(ws)
    ws:on_broadcast(websockets.WRITE_BINARY)
    ws:on_receive(function(ws, data)
      ws:broadcast(data)
    end)
  end,

  publish = function(ws)
    ws:subscribe 'all'
    ws:on_receive(function(_, data, type)
      context:publish('all', data, type)
    end)
  end,
}

serve.receive = websockets.handler(function(ws)
  while true do
    local data, type = ws:receive()
    if not data then break end
    ws:write(data, type)
  end
end)

serve.compressed = serve.echo

context = websockets.context {
  port = port,
  interf = '127.0.0.1',
  protocols = { bench = serve[arg[2] or 'echo'] },
  compression = arg[2] == 'compressed' and { level = 6, min_size = 1, context_takeover = true },
  ssl_cert_path = arg[3],
  ssl_private_key_path = arg[4],
}

io.stdout:setvbuf 'line'

local workers = tonumber(os.getenv 'WORKERS')
if workers then
  os.exit(context:run {
    workers = workers,
    on_worker = function(id)
      if id == workers then print(port) end
    end,
  })
end

print(port)

while true do
  context:service(-1)
end
