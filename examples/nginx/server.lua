-- SPDX-License-Identifier: MIT
-- A server behind nginx, which tells who the client is; nginx.conf beside it is the other half.
-- Usage: lua server.lua [socket]
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local path = arg[1] or '/tmp/websockets-nginx.sock'

local context = websockets.context {
  listen = { 'unix:' .. path },
  trusted_proxies = { 'unix' }, -- who can open the socket is believed
  on_http = function(ws)
    ws:respond(200, nil, 'You come from ' .. ws:request().address .. '\n')
  end,
  protocols = {
    echo = function(ws)
      local request = ws:request()
      ws:write(('You come from %s, %s TLS.'):format(request.address, request.is_secure and 'with' or 'without'))
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,
  },
}

print(('Start /usr/sbin/nginx -e stderr -p . -c %snginx.conf beside it, and open http://localhost:8080/'):format(here))
io.stdout:flush()
os.exit((context:run()))
