-- SPDX-License-Identifier: MIT
-- An echo server over TLS (wss), and a page to try it with (https). When the file of its certificate changes, which
-- somebody else renews, it takes the new one without a restart.
-- Usage: lua tls.lua [certificate] [its key] [port] [seconds]; script/demo-certificate makes a certificate; it looks for
-- a new one every so many seconds.
local websockets = require 'websockets'

local folder = 'build/demo-certificates/'
local certificate = arg[1] or folder .. 'server.pem'
local port = arg[3] or 8443
local look_seconds = tonumber(arg[4]) or 60

local function read(path)
  local file = io.open(path)
  local text = file and file:read '*a'
  if file then
    file:close()
  end
  return text
end

local loaded = read(certificate)

local context = websockets.context {
  port = port,
  ssl_cert_path = certificate,
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

context:every(look_seconds, function()
  local found = read(certificate)
  if found == loaded then
    return
  end
  local ok, why = context:reload_certificates() -- fails while only one of the two files is new
  if ok then
    loaded = found
  end
  print(ok and 'There is a new certificate' or 'The old certificate stays: ' .. why)
  io.stdout:flush()
end)

print(('Open https://localhost:%s/ in a browser'):format(port))
io.stdout:flush()
os.exit((context:run()))
