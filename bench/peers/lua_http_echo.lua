-- SPDX-License-Identifier: MIT
-- Usage: luajit lua_http_echo.lua PORT [broadcast]
--
-- Echoes, or with 'broadcast' sends each message to everyone, by lua-http, which runs on cqueues. Prints its port when it
-- can be connected to.

local server = require 'http.server'
local socket = require 'cqueues.socket'
local websocket = require 'http.websocket'

local port, mode = arg[1], arg[2]
local websockets = {}

local function echo(ws, data, type)
  return ws:send(data, type)
end

local function broadcast(_, data, type)
  for ws in pairs(websockets) do
    ws:send(data, type)
  end
  return true
end

local answer = mode == 'broadcast' and broadcast or echo

local function serve(_, stream)
  local ws = assert(websocket.new_from_stream(stream, stream:get_headers()))
  assert(ws:accept())
  websockets[ws] = true
  repeat
    local data, type = ws:receive()
  until not data or not answer(ws, data, type)
  websockets[ws] = nil
  ws:close()
end

local http = server.new {
  socket = socket.listen { host = '127.0.0.1', port = port, reuseaddr = true, nodelay = true },
  tls = false,
  max_concurrent = 100000,
  onstream = serve,
  onerror = function() end,
}
assert(http:listen())

print(port)
io.stdout:flush()

assert(http:loop())
