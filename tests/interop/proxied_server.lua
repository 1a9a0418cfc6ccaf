-- SPDX-License-Identifier: MIT
-- Usage: lua proxied_server.lua FOLDER SOCKET [proxy_protocol]
--
-- The server behind the proxies of proxies.py, which it trusts. Listens on a free port of 127.0.0.1, which it prints, and
-- on the unix socket FOLDER/SOCKET, and serves until it is killed. What it serves:
--   echo      (also without a subprotocol) each message goes back as it came
--   named     calls itself as the first message says; the observers are told 'NAME CODE REASON' of its end
--   observer  is told that
--   address   tells the client's address, and whether it uses TLS
--   command   does to its own connection what a message says: 'close CODE REASON', 'terminate', 'ping'
-- over HTTP: the file of that name in FOLDER at /file/NAME, the same as `address` at /address, at /body what is sent, and
-- at /count how many requests the connection has had.

local websockets = require 'websockets'

local folder, socket, has_proxy_protocol = arg[1], arg[2], arg[3] == 'proxy_protocol'
local context
local requests = setmetatable({}, { __mode = 'k' }) -- websocket -> how many

local function describe_client(ws)
  local request = ws:request()
  return ('%s %s'):format(request.address, request.is_secure and 'secure' or 'plain')
end

local commands = {}

function commands.ping(ws)
  ws:write('from the server', websockets.WRITE_PING)
  ws:write 'pinged'
end

context = websockets.context {
  listen = { '127.0.0.1:0', 'unix:' .. folder .. '/' .. socket },
  trusted_proxies = { '127.0.0.1', 'unix' },
  proxy_protocol = has_proxy_protocol,
  default_protocol = 'echo',

  protocols = {
    echo = function(ws)
      ws:on_receive(function(_, data, kind)
        ws:write(data, kind)
      end)
    end,

    named = function(ws)
      ws:on_receive(function(_, name)
        ws:on_closed(function(_, code, reason)
          context:broadcast('observer', ('%s %d %s'):format(name, code, reason))
        end)
        ws:write(name)
      end)
    end,

    observer = function() end,

    address = function(ws)
      ws:write(describe_client(ws))
    end,

    command = dofile((arg[0]:match '^.*/' or '') .. 'commands.lua')(commands),
  },

  on_http = function(ws, uri)
    requests[ws] = (requests[ws] or 0) + 1
    local name = uri:match '^/file/(%w+)$'
    if uri == '/address' then
      ws:respond(200, nil, describe_client(ws))
    elseif uri == '/body' then
      ws:respond(200, nil, ws:request().body)
    elseif uri == '/count' then
      ws:respond(200, nil, tostring(requests[ws]))
    elseif name then
      ws:serve_http_file(folder .. '/' .. name, 'application/octet-stream')
    end
  end,
}

print(context:addresses()[1]:match '%d+$')
io.stdout:flush()

while true do
  context:service(-1)
end
