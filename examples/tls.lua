-- SPDX-License-Identifier: MIT
-- An echo server over TLS (wss), and a page to try it with (https). When the file of its certificate changes, which
-- somebody else renews, it takes the new one without a restart.
-- Usage: lua tls.lua [port] [certificate] [its key] [seconds]; without a certificate script/demo-certificate, which a
-- checkout has, makes one; it looks for a new one every so many seconds.
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local folder = here .. '../build/demo-certificates/'
local port = arg[1] or 8443
local certificate, key = arg[2] or folder .. 'server.pem', arg[3] or folder .. 'server.key'
local look_seconds = tonumber(arg[4]) or 60

local function read(path)
  local file = io.open(path)
  local text = file and file:read '*a'
  if file then
    file:close()
  end
  return text
end

local maker = here .. '../script/demo-certificate'
if not arg[2] and not read(certificate) and read(maker) then
  os.execute(("'%s' >&2"):format(maker))
end
local loaded = read(certificate)
if not loaded then
  print(('There is no certificate %s. With one of yours: lua tls.lua PORT CERTIFICATE KEY'):format(certificate))
  os.exit(1)
end

local context = websockets.context {
  port = port,
  ssl_cert_path = certificate,
  ssl_private_key_path = key,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    echo = function(ws)
      ws:on_receive(function(ws, data, type)
        ws:write(data, type)
      end)
    end,
  },
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

print(('Open https://localhost:%s/ in a browser; it warns of a certificate that it does not know'):format(port))
io.stdout:flush()
os.exit((context:run()))
