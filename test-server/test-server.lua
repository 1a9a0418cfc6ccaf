-- SPDX-License-Identifier: MIT
-- Usage: lua test-server.lua [directory of the page] [port] [certificate] [its key] [--workers N]
-- With a certificate (script/demo-certificate makes some) it is https and wss; with workers so many processes serve.
local websockets = require 'websockets'

local workers
for i, word in ipairs(arg) do
  if word == '--workers' then
    table.remove(arg, i)
    workers = assert(table.remove(arg, i), '--workers needs a number')
    break
  end
end

local here = arg[0]:match('^(.*/)') or ''
local serve_page = dofile(here .. 'pages.lua')(arg[1] or '.')
local port = arg[2] or 8002
local certificate, key = arg[3], arg[4]

local context = websockets.context {
  port = port,
  ssl_cert_path = certificate,
  ssl_private_key_path = key,
  -- libwebsockets-test-client -e sends random bytes as text.
  utf8_check = false,

  on_http = serve_page,
  protocols = {
    ['dumb-increment-protocol'] = function(ws)
      local number = 0
      ws:on_broadcast(function()
        number = number + 1
        ws:write(tostring(number), websockets.WRITE_TEXT)
      end)
      ws:on_receive(function(_, data)
        if data:find('reset', 1, true) then
          number = 0
        end
      end)
    end,

    ['lws-mirror-protocol'] = function(ws)
      ws:on_broadcast(websockets.WRITE_TEXT)
      ws:on_receive(function(_, data)
        ws:broadcast(data)
      end)
    end,
  },
}

context:every(0.05, function()
  context:broadcast('dumb-increment-protocol', 'tick')
end)

print(('Open %s://localhost:%s/ in a browser'):format(certificate and 'https' or 'http', port))
io.stdout:flush()
os.exit((context:run { workers = workers }))
