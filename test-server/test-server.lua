-- SPDX-License-Identifier: MIT
-- Usage: lua test-server.lua [directory of the page] [port] [certificate] [its key]
-- With a certificate (script/demo-certificate makes some) it is https and wss.
local websockets = require 'websockets'

local here = arg[0]:match('^(.*/)') or ''
local serve_page = dofile(here .. 'pages.lua')(arg[1] or '.')
local port = arg[2] or 8002
local certificate, key = arg[3], arg[4]

local served = false -- something, in this round

local context = websockets.context {
  port = port,
  ssl_cert_path = certificate,
  ssl_private_key_path = key,
  -- libwebsockets-test-client -e sends random bytes as text.
  utf8_check = false,

  on_http = function(ws, uri)
    served = true
    serve_page(ws, uri)
  end,

  protocols = {
    ['dumb-increment-protocol'] = function(ws)
      served = true
      local number = 0
      ws:on_broadcast(function()
        number = number + 1
        ws:write(tostring(number), websockets.WRITE_TEXT)
      end)
      ws:on_receive(function(_, data)
        served = true
        if data:find('reset', 1, true) then
          number = 0
        end
      end)
    end,

    ['lws-mirror-protocol'] = function(ws)
      served = true
      ws:on_broadcast(websockets.WRITE_TEXT)
      ws:on_receive(function(_, data)
        served = true
        ws:broadcast(data)
      end)
    end,
  },
}

io.stdout:setvbuf('line')
print(('Open %s://localhost:%s/ in a browser'):format(certificate and 'https' or 'http', port))

-- service() returns as soon as it has served something, and Lua has no clock finer than a second. A quiet round is
-- taken to have lasted its full time; the busy ones to be as long as those of the last second were on average. So the
-- counters go on at much the same pace while somebody draws, and never get ahead of real time.
local tick_ms, ticks_per_second = 50, 20
local second, ticks, quiet_rounds, busy_rounds = os.time(), 0, 0, 0
local elapsed_ms, busy_round_ms = 0, tick_ms / 4

while true do
  served = false
  context:service(tick_ms)

  if served then
    busy_rounds = busy_rounds + 1
    elapsed_ms = elapsed_ms + busy_round_ms
  else
    quiet_rounds = quiet_rounds + 1
    elapsed_ms = elapsed_ms + tick_ms
  end

  if os.time() ~= second then
    if busy_rounds > 0 then
      busy_round_ms = math.max(0, 1000 - quiet_rounds * tick_ms) / busy_rounds
    end
    second, ticks, quiet_rounds, busy_rounds = os.time(), 0, 0, 0
  end

  if elapsed_ms >= tick_ms and ticks < ticks_per_second then
    elapsed_ms = 0
    ticks = ticks + 1
    context:broadcast('dumb-increment-protocol', 'tick')
  end
end
