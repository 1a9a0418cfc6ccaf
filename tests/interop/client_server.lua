-- SPDX-License-Identifier: MIT
-- Usage: lua client_server.lua FOLDER MODE [tls]
--
-- Our own server for client_peers.py: client_server.mjs says what it serves. Prints its port; without tls it listens on
-- FOLDER/ours-MODE.sock, too.

local websockets = require 'websockets'

local folder, mode, is_tls = arg[1], arg[2], arg[3] == 'tls'
local modes = {
  off = false,
  fresh = { min_size = 1 },
  takeover = { min_size = 1, context_takeover = true },
}
local observers = {}

local function observe(text)
  for observer in pairs(observers) do
    observer:write(text)
  end
end

local commands = {}

function commands.probe(ws, data)
  ws:on_pong(function(_, answer) ws:write('pong ' .. answer) end)
  ws:ping(data)
end

local protocols = {
  echo = function(ws)
    ws:on_receive(function(_, data, type) ws:write(data, type) end)
  end,

  command = dofile((arg[0]:match '^.*/' or '') .. 'commands.lua')(commands),

  watched = function(ws)
    observe 'opened'
    ws:on_closed(function(_, code, reason) observe(('closed %d %s'):format(code, reason)) end)
  end,

  observer = function(ws)
    observers[ws] = true
    ws:on_closed(function() observers[ws] = nil end)
  end,
}

local config = {
  listen = { '127.0.0.1:0', not is_tls and ('unix:%s/ours-%s.sock'):format(folder, mode) or nil },
  ssl_cert_path = is_tls and folder .. '/server.pem' or nil,
  ssl_private_key_path = is_tls and folder .. '/server.key' or nil,
  protocols = protocols,
  default_protocol = 'echo',
  compression = modes[mode],
  max_message_size = 16 * 2 ^ 20,
}
local context = websockets.context(config)
print(context:addresses()[1]:match '%d+$')
io.stdout:flush()
while true do
  context:service(-1)
end
