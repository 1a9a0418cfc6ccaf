-- SPDX-License-Identifier: MIT
-- What specs of clients (connect) need: a server and clients of it in one context, and servers that break every rule.

local assert = require 'luassert'
local loop = require 'spec.support.loop'
local socket = require 'socket'

local clients = {}

local raw = {}
raw.__index = raw
local open_sockets = {}

-- A context whose protocol 'p' calls setup(ws) for each connection, and the URL of it.
function clients.server(config, setup)
  local copy = { protocols = { p = setup or function() end } }
  for name, value in pairs(config or {}) do
    copy[name] = value
  end
  local ctx, port = loop.context(copy)
  return ctx, ('ws://127.0.0.1:%d/'):format(port), port
end

-- Notes the events of a client in a list, and how it ends in a table; both are returned.
function clients.log(ws)
  local log, ended = {}, {}
  ws:on_open(function(_, response) log[#log + 1] = 'open ' .. response.status end)
  ws:on_receive(function(_, data) log[#log + 1] = data end)
  ws:on_closed(function(_, code, reason, failure)
    ended.code, ended.failure = code, failure
    log[#log + 1] = ('closed %d %s'):format(code, failure and failure.kind or reason)
  end)
  return log, ended
end

function clients.wait_for_state(ctx, ws, state)
  loop.serve_until(ctx, function() return ws:state() == state end, 'state ' .. state)
end

function clients.wait_for_end(ctx, ended)
  loop.serve_until(ctx, function() return ended.code end, 'the end of a client')
end

-- A client of this context that is open.
function clients.open(ctx, url, options)
  local ws = ctx:connect(url, options)
  clients.wait_for_state(ctx, ws, 'open')
  return ws
end

-- --- A server without rules ---

-- The answer that opens a websocket, to a request with this key (RFC 6455 4.2.2). Further header lines may follow.
function clients.switching(key, lines)
  local command = ("printf %%s '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' | openssl sha1 -binary | base64"):format(key)
  local pipe = assert(io.popen(command))
  local accept = pipe:read '*l'
  pipe:close()
  return 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ' .. accept
    .. '\r\n' .. (lines or '') .. '\r\n'
end

-- Listens; returns it and its URL.
function clients.raw_server(ctx)
  local listener = assert(socket.bind('127.0.0.1', 0))
  listener:settimeout(0)
  open_sockets[listener] = true
  local _, port = listener:getsockname()
  return setmetatable({ ctx = ctx, listener = listener, port = port }, raw), ('ws://127.0.0.1:%d/'):format(port)
end

-- Accepts the next connection, and returns the head of its request.
function raw:accept()
  if self.sock then self.sock:close() end
  loop.serve_until(self.ctx, function()
    self.sock = self.listener:accept()
    return self.sock
  end, 'a connection')
  self.sock:settimeout(0)
  open_sockets[self.sock] = true
  self.received = ''
  return self:read_until '\r\n\r\n'
end

-- What has arrived up to a text, which is taken.
function raw:read_until(text)
  local head
  loop.serve_until(self.ctx, function()
    local data, _, part = self.sock:receive(65536)
    self.received = self.received .. (data or part)
    local _, last = self.received:find(text, 1, true)
    if last then head, self.received = self.received:sub(1, last), self.received:sub(last + 1) end
    return head
  end, 'the end of a request')
  return head
end

function raw:send(text) assert.equal(#text, self.sock:send(text)) end

function raw:close()
  if self.sock then self.sock:close() end
  self.listener:close()
end

function clients.close_all()
  for sock in pairs(open_sockets) do
    sock:close()
    open_sockets[sock] = nil
  end
end

return clients
