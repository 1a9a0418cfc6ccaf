-- SPDX-License-Identifier: MIT
-- Usage: lua echo_server.lua [FILE [FOLDER [client]]]
--
-- The server that the clients in this folder talk to. Picks a free port on 127.0.0.1, prints it, and serves until it
-- is killed. What it serves:
--   echo      (also without a subprotocol) each message goes back as it came
--   chat      each message goes to everyone, as text
--   command   does to its own connection what a message says, see `commands`
--   observer  is told 'opened NAME' and 'closed NAME CODE REASON' of the connections of the others
-- over HTTP: FILE at /file, the folder that it is in at /site/, a few bytes at /small, an answer to every method at
-- /any, what was sent at /sent.
-- With FOLDER, where script/demo-certificate has put its files, over TLS; with client, to those only who have the
-- client's certificate. The environment variable COMPRESSION is the option of that name, as Lua writes it.

local websockets = require 'websockets'

local max_message_size = 8 * 2 ^ 20
local file = arg[1] or arg[0]
local folder, asks_for_client = arg[2], arg[3] == 'client'
local compression = (loadstring or load)('return ' .. (os.getenv 'COMPRESSION' or 'nil'))() -- luacheck: ignore
local site = websockets.static(file:match '^(.*)/' or '.')
local context

local function observed(name, serve)
  return function(ws)
    context:broadcast('observer', 'opened ' .. name)
    ws:on_closed(function(_, code, reason)
      context:broadcast('observer', ('closed %s %d %s'):format(name, code, reason))
    end)
    serve(ws)
  end
end

local commands = {}

-- The server's own ping; a client answers by itself.
function commands.ping(ws, data)
  ws:write(data or '', websockets.WRITE_PING)
  ws:write 'pinged'
end

function commands.fail()
  error 'as told'
end

-- Once to the one that says so, then to all who give commands.
function commands.shout(ws, first, rest)
  local text = first .. ' ' .. rest
  ws:write(text)
  ws:broadcast(text)
end

local config = {
  listen = { '127.0.0.1:0' },
  max_message_size = max_message_size,
  default_protocol = 'echo',
  compression = compression,
  ssl_cert_path = folder and folder .. '/server.pem',
  ssl_private_key_path = folder and folder .. '/server.key',
  ssl_ca_path = asks_for_client and folder .. '/ca.pem' or nil,
  options = asks_for_client and websockets.SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT or 0,
  on_error = function() end, -- the clients see what becomes of it

  protocols = {
    echo = observed('echo', function(ws)
      ws:on_receive(function(_, data, kind)
        ws:write(data, kind)
      end)
    end),

    chat = observed('chat', function(ws)
      ws:on_receive(function(_, data)
        ws:broadcast(data)
      end)
    end),

    command = observed('command', dofile((arg[0]:match '^.*/' or '') .. 'commands.lua')(commands)),

    observer = function() end,
  },

  on_http = function(ws, uri)
    if uri == '/file' then
      ws:serve_http_file(file, 'application/octet-stream')
    elseif uri:find '^/site/' then
      site(ws, uri:sub(6))
    elseif uri == '/sent' then
      ws:respond(200, { ['Content-Type'] = 'application/octet-stream' }, ws:request().body)
    elseif uri == '/small' then
      ws:serve_http_file(arg[0], 'text/plain')
    elseif uri == '/any' then
      ws:write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nany', websockets.WRITE_HTTP)
    end
  end,
}

context = websockets.context(config)
print(context:addresses()[1]:match '%d+$')
io.stdout:flush()

while true do
  context:service(-1)
end
