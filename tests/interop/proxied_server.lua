-- SPDX-License-Identifier: MIT
-- Usage: lua proxied_server.lua FOLDER
--
-- The server behind the proxies of proxies.py. Listens on a free port of 127.0.0.1, which it prints, and on
-- FOLDER/server.sock, and serves until it is killed. What it serves:
--   echo      (also without a subprotocol) each message goes back as it came
--   named     calls itself as the first message says; the observers are told 'NAME CODE REASON' of its end
--   observer  is told that
--   command   does to its own connection what a message says: 'close CODE REASON', 'terminate', 'ping'
-- over HTTP: the file of that name in FOLDER at /file/NAME.

local websockets = require 'websockets'

local folder = arg[1]
local context

local commands = {}

function commands.close(ws, code, reason)
  ws:close(tonumber(code), reason)
end

function commands.terminate(ws)
  ws:terminate()
end

function commands.ping(ws)
  ws:write('from the server', websockets.WRITE_PING)
  ws:write 'pinged'
end

context = websockets.context {
  listen = { '127.0.0.1:0', 'unix:' .. folder .. '/server.sock' },
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

    command = function(ws)
      ws:on_receive(function(_, data)
        local name, code, reason = data:match '^(%a+) ?(%d*) ?(.*)$'
        commands[name](ws, code, reason)
      end)
    end,
  },

  on_http = function(ws, uri)
    local name = uri:match '^/file/(%w+)$'
    if name then
      ws:serve_http_file(folder .. '/' .. name, 'application/octet-stream')
    end
  end,
}

print(context:addresses()[1]:match '%d+$')
io.stdout:flush()

while true do
  context:service(-1)
end
