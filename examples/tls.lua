-- SPDX-License-Identifier: MIT
-- An echo server over TLS (wss), and a page to try it with (https). Once an hour it reads its certificate again, which
-- somebody else has renewed perhaps.
-- Usage: lua tls.lua [certificate] [its key] [port]; script/demo-certificate makes a certificate.
local websockets = require 'websockets'

local folder = 'build/demo-certificates/'
local port = arg[3] or 8443
local reload_seconds = 3600

local context = websockets.context {
  port = port,
  ssl_cert_path = arg[1] or folder .. 'server.pem',
  ssl_private_key_path = arg[2] or folder .. 'server.key',

  protocols = {
    echo = function(ws)
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,
  },

  on_http = function(ws, uri)
    if uri ~= '/' then
      return -- 404
    end
    local page = [[
<!doctype html><meta charset="utf-8"><title>wss</title>
<script>
const socket = new WebSocket(location.href.replace('http', 'ws'), 'echo')
socket.onopen = () => socket.send('over TLS')
socket.onmessage = (event) => document.body.append(event.data)
</script>]]
    ws:respond(200, { ['Content-Type'] = 'text/html' }, page)
  end,
}

print(('Open https://localhost:%s/ in a browser'):format(port))

local reload_at = os.time() + reload_seconds
while true do
  context:service(1000)
  if os.time() >= reload_at then
    reload_at = os.time() + reload_seconds
    local ok, why = context:reload_certificates()
    if not ok then
      print('The old certificate stays: ' .. why)
    end
  end
end
