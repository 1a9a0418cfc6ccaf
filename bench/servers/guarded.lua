-- SPDX-License-Identifier: MIT
-- Usage: lua guarded.lua PORT [OPTION=NUMBER]... [CERTIFICATE KEY]
--
-- The server that is attacked: one that anybody may talk to, with these limits, and messages compressed for whoever
-- wants it. Prints its port when it can be connected to. What it serves:
--   echo   (also without a subprotocol) each message goes back as it came
--   feed   each message goes to everyone
--   stats  any message is answered by what the server has counted
-- over HTTP: 5 MB at /file, a few bytes elsewhere.

local websockets = require 'websockets'

local context
local page = ('x'):rep(5000000)

local config = {
  listen = { '127.0.0.1:' .. arg[1] },
  default_protocol = 'echo',
  compression = true,

  protocols = {
    echo = function(ws)
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,

    feed = function(ws)
      ws:on_broadcast(websockets.WRITE_BINARY)
      ws:on_receive(function(ws, data)
        ws:broadcast(data)
      end)
    end,

    stats = function(ws)
      ws:on_receive(function(ws)
        ws:write(context:metrics())
      end)
    end,
  },

  on_http = function(ws, uri)
    ws:respond(200, { ['Content-Type'] = 'text/plain' }, uri == '/file' and page or 'hello')
  end,
}

for i = 2, #arg do
  local name, number = arg[i]:match '^([%a_]+)=([%d.]+)$'
  if name then
    config[name] = tonumber(number)
  elseif not config.ssl_cert_path then
    config.ssl_cert_path = arg[i]
  else
    config.ssl_private_key_path = arg[i]
  end
end

context = websockets.context(config)
print(arg[1])
io.stdout:flush()

while true do
  context:service(-1)
end
