-- SPDX-License-Identifier: MIT
-- A client that lives in the same process as the server, and can break every rule. Whatever waits serves the
-- context meanwhile. It does nothing by itself: no pong, no answer to a Close frame.

local assert = require 'luassert'
local loop = require 'spec.support.loop'
local socket = require 'socket'

local client = {}
client.__index = client

client.CONTINUATION, client.TEXT, client.BINARY = 0, 1, 2
client.CLOSE, client.PING, client.PONG = 8, 9, 10

-- RFC 6455 1.3
client.key = 'dGhlIHNhbXBsZSBub25jZQ=='
client.accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

local read_bytes = 65536
local small_bytes = 4096
local opened = {}

-- --- Bytes ---

local xor_tables = {}

-- The characters xor `key`, by their codes.
local function xor_table(key)
  local made = xor_tables[key]
  if made then return made end
  made = {}
  for code = 0, 255 do
    local result, bit, a, b = 0, 1, code, key
    for _ = 1, 8 do
      if a % 2 ~= b % 2 then result = result + bit end
      a, b, bit = (a - a % 2) / 2, (b - b % 2) / 2, bit * 2
    end
    made[code] = string.char(result)
  end
  xor_tables[key] = made
  return made
end

function client.mask(payload, key)
  if key == '\0\0\0\0' then return payload end
  local tables, masked = {}, {}
  for i = 1, 4 do
    tables[i - 1] = xor_table(key:byte(i))
  end
  for i = 1, #payload do
    masked[i] = tables[(i - 1) % 4][payload:byte(i)]
  end
  return table.concat(masked)
end

-- A number in network byte order.
function client.big_endian(number, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = string.char(number % 256)
    number = (number - number % 256) / 256
  end
  return table.concat(bytes)
end

local function read_number(bytes)
  local number = 0
  for i = 1, #bytes do
    number = number * 256 + bytes:byte(i)
  end
  return number
end

-- The bytes of a frame. Options: fin (default true), rsv (0 to 7), mask (4 bytes; false: not masked; default:
-- masked, and large payloads with a key of zeros), length (announced; default: the payload's), length_bytes
-- (0, 2 or 8: how it is encoded; default: the shortest).
function client.frame(opcode, payload, options)
  payload, options = payload or '', options or {}
  local length = options.length or #payload
  local length_bytes = options.length_bytes or (length < 126 and 0 or length < 65536 and 2 or 8)
  local mask = options.mask
  if mask == nil then mask = #payload > small_bytes and '\0\0\0\0' or '\55\250\33\61' end
  local first = (options.fin == false and 0 or 128) + (options.rsv or 0) * 16 + opcode
  local second = (mask and 128 or 0) + (length_bytes == 0 and length or length_bytes == 2 and 126 or 127)
  return string.char(first, second) .. client.big_endian(length, length_bytes) .. (mask or '') ..
    (mask and client.mask(payload, mask) or payload)
end

-- The body of a Close frame.
function client.close_body(code, reason)
  return code and client.big_endian(code, 2) .. (reason or '') or ''
end

-- --- Connecting ---

-- A TCP connection. `ctx` is the context, or list of contexts, to be served while the client waits. Options:
-- host (default 127.0.0.1), tls (options of tls.wrap()), receive_buffer (bytes in the kernel).
function client.connect(ctx, port, options)
  options = options or {}
  local host = options.host or '127.0.0.1'
  local sock = assert(host:find(':', 1, true) and socket.tcp6() or socket.tcp4())
  if options.receive_buffer then sock:setoption('recv-buffer-size', options.receive_buffer) end
  sock:settimeout(10 * loop.time_factor) -- the system answers for the server
  assert(sock:connect(host, port))
  sock:settimeout(0)
  sock:setoption('tcp-nodelay', true)
  if options.tls then sock = assert(require('spec.support.tls').wrap(ctx, sock, options.tls)) end
  return client.adopt(ctx, sock)
end

-- A client on a socket that is connected, and non-blocking.
function client.adopt(ctx, sock)
  local self = { ctx = ctx, sock = sock, taken = 0, data = '', parts = {}, buffered = 0 }
  setmetatable(self, client)
  opened[self] = true
  return self
end

-- The opening handshake. Options: path, method, version ('HTTP/1.1'), protocol (the list offered), headers
-- (name -> value replaces or adds, false leaves out), first (what to send in the same segment, behind it).
function client.request(options)
  options = options or {}
  local names = { 'Host', 'Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version' }
  local values = { ['Host'] = 'localhost', ['Upgrade'] = 'websocket', ['Connection'] = 'Upgrade',
    ['Sec-WebSocket-Key'] = client.key, ['Sec-WebSocket-Version'] = '13' }
  local function set(name, value)
    if values[name] == nil then names[#names + 1] = name end
    values[name] = value
  end
  if options.protocol then set('Sec-WebSocket-Protocol', options.protocol) end
  for name, value in pairs(options.headers or {}) do
    set(name, value)
  end
  local method, path, version = options.method or 'GET', options.path or '/', options.version or 'HTTP/1.1'
  local lines = { ('%s %s %s'):format(method, path, version) }
  for _, name in ipairs(names) do
    if values[name] then lines[#lines + 1] = name .. ': ' .. values[name] end
  end
  return table.concat(lines, '\r\n') .. '\r\n\r\n' .. (options.first or '')
end

function client:handshake(options)
  self:send(client.request(options))
  return self:read_head()
end

-- Connects and shakes hands. `options` is the protocol, or a table for request() and connect().
function client.open(ctx, port, options)
  if type(options) ~= 'table' then options = { protocol = options } end
  local self = client.connect(ctx, port, options)
  local status, headers = self:handshake(options)
  assert.equal(101, status)
  assert.equal(client.accept, headers['sec-websocket-accept'])
  return self
end

-- --- Sending ---

-- As much as the system takes now, the server not being served; returns how many bytes that is, or nil and
-- why.
function client:send_some(bytes, from)
  from = from or 1
  local last, why, partial = self.sock:send(bytes, from)
  if last or why == 'timeout' then return (last or partial) - from + 1 end
  return nil, why
end

-- All of it, serving while the system takes no more.
function client:send(bytes)
  local position = 1
  local function is_sent()
    if position > #bytes then return true end
    position = position + assert(self:send_some(bytes, position))
    return position > #bytes
  end
  if not is_sent() then loop.serve_until(self.ctx, is_sent, 'the server to read') end
end

-- In pieces of `size` bytes (default 1), each of which the server gets to see by itself.
function client:send_split(bytes, size)
  size = size or 1
  for position = 1, #bytes, size do
    self:send(bytes:sub(position, position + size - 1))
    for _, ctx in ipairs(type(self.ctx) == 'table' and self.ctx or { self.ctx }) do
      loop.step(ctx, 0)
    end
  end
end

function client:send_frame(opcode, payload, options)
  self:send(client.frame(opcode, payload, options))
end

function client:text(payload) self:send_frame(client.TEXT, payload) end
function client:binary(payload) self:send_frame(client.BINARY, payload) end
function client:ping(payload) self:send_frame(client.PING, payload) end
function client:send_close(code, reason) self:send_frame(client.CLOSE, client.close_body(code, reason)) end

-- --- Receiving ---

-- Reads what has arrived, once. Returns whether there was something. Sets ended: 'closed' (FIN) or the error
-- (RST).
function client:pump()
  if self.ended or not self.sock then return false end
  local data, why, partial = self.sock:receive(read_bytes)
  data = data or partial
  if why and why ~= 'timeout' then self.ended = why end
  if data == '' then return false end
  self.parts[#self.parts + 1] = data
  self.buffered = self.buffered + #data
  return true
end

-- Joins what was received and not taken yet.
local function join(self)
  if #self.parts == 0 then return end
  self.data = self.data:sub(self.taken + 1) .. table.concat(self.parts)
  self.taken, self.parts = 0, {}
end

local function take(self, count)
  if #self.data - self.taken < count then join(self) end
  local bytes = self.data:sub(self.taken + 1, self.taken + count)
  self.taken = self.taken + count
  self.buffered = self.buffered - count
  return bytes
end

-- What was received and not taken yet.
function client:buffer()
  join(self)
  return self.data:sub(self.taken + 1)
end

-- Serves until so many bytes are there, which stay; false when the connection ended before.
function client:wait_for(count)
  loop.serve_until(self.ctx, function()
    while self.buffered < count and self:pump() do end
    return self.buffered >= count or self.ended
  end, count .. ' bytes from the server; it sent ' .. self.buffered)
  return self.buffered >= count
end

-- Takes exactly so many bytes.
function client:read(count)
  if not self:wait_for(count) then
    error(('the server sent %d bytes instead of %d, then: %s'):format(self.buffered, count, self.ended), 2)
  end
  return take(self, count)
end

-- Takes up to and with `separator`.
function client:read_until(separator)
  local last
  while true do
    last = select(2, self:buffer():find(separator, 1, true))
    if last then break end
    if not self:wait_for(self.buffered + 1) then
      error(('the server sent %q, then: %s'):format(self:buffer(), self.ended), 2)
    end
  end
  return self:read(last)
end

-- Takes everything until the server ends the connection.
function client:read_all()
  loop.serve_until(self.ctx, function()
    while self:pump() do end
    return self.ended
  end, 'the server to close')
  return take(self, self.buffered)
end

-- The head of a response: status, headers (names in lower case; repeated ones joined by ', '), reason.
function client:read_head()
  local head = self:read_until '\r\n\r\n'
  local status, reason = head:match '^HTTP/1%.[01] (%d%d%d) ([^\r\n]*)\r\n'
  assert.is_string(status, 'not a response: ' .. head)
  local headers = {}
  for field, value in head:gmatch '\r\n([^:\r\n]+):[ \t]*([^\r\n]*)' do
    local name = field:lower()
    headers[name] = headers[name] and headers[name] .. ', ' .. value or value
  end
  return tonumber(status), headers, reason
end

-- A response with Content-Length: status, headers, body. `is_head`: to a HEAD request.
function client:read_response(is_head)
  local status, headers = self:read_head()
  if is_head then return status, headers, '' end
  assert.is_string(headers['content-length'], 'no Content-Length')
  return status, headers, self:read(tonumber(headers['content-length']))
end

-- Specs read thousands of frames: this is quicker than luassert.
local function check(condition, message)
  if not condition then error(message, 3) end
end

-- A frame: { fin, rsv, opcode, payload }. nil, and why, when the connection ends instead.
function client:receive_frame()
  if not self:wait_for(2) then return nil, self.ended end
  local first, second = self:read(2):byte(1, 2)
  check(second < 128, 'a server must not mask')
  local length = second
  if second >= 126 then
    length = read_number(self:read(second == 126 and 2 or 8))
    check(length >= (second == 126 and 126 or 65536), 'the length is not in its shortest form')
  end
  local opcode = first % 16
  local rsv = (first - first % 16) / 16 % 8
  local frame = { fin = first >= 128, rsv = rsv, opcode = opcode, payload = self:read(length) }
  check(opcode < 8 or frame.fin, 'a fragmented control frame')
  check(opcode < 8 or length <= 125, 'a long control frame')
  return frame
end

function client:expect_frame(opcode, payload, fin)
  local frame, why = self:receive_frame()
  check(frame, why)
  check(frame.rsv == 0, 'a reserved bit is set')
  if frame.opcode ~= opcode or frame.fin ~= (fin ~= false) then
    error(('opcode %d and FIN %s instead of %d: %q'):format(frame.opcode, tostring(frame.fin), opcode,
      frame.payload:sub(1, 200)), 2)
  end
  if payload and frame.payload ~= payload then
    if #payload < 200 and #frame.payload < 200 then assert.equal(payload, frame.payload) end
    error(('another payload: %d bytes instead of %d'):format(#frame.payload, #payload), 2)
  end
  return frame.payload
end

function client:expect_text(payload) return self:expect_frame(client.TEXT, payload) end
function client:expect_binary(payload) return self:expect_frame(client.BINARY, payload) end

-- A Close frame: its code (nil: without), then, if given, its reason. Does not answer it.
function client:expect_close(code, reason)
  local body = self:expect_frame(client.CLOSE)
  assert.equal(code, #body >= 2 and read_number(body:sub(1, 2)) or nil)
  if reason then assert.equal(reason, body:sub(3)) end
  return body:sub(3)
end

-- The server ends the connection, and sends nothing before: with FIN, not RST.
function client:expect_end()
  assert.equal('', self:read_all())
  assert.equal('closed', self.ended)
end

-- The connection ends, with nothing sent before; by RST or FIN.
function client:expect_loss()
  assert.equal('', self:read_all())
end

-- The server has sent nothing that was not taken yet: a ping is answered first.
function client:expect_nothing()
  self:ping 'nothing before this'
  self:expect_frame(client.PONG, 'nothing before this')
end

-- The whole closing handshake, begun by the client.
function client:finish(code, reason)
  self:send_close(code, reason)
  self:expect_close(code)
  self:expect_end()
  self:close()
end

-- --- Ending ---

-- The client sends no more, and reads on.
function client:shutdown() self.sock:shutdown 'send' end

-- The descriptor is closed: FIN, or RST if something was not read.
function client:close()
  if self.sock then self.sock:close() end
  self.sock = nil
  opened[self] = nil
end

function client:reset()
  self.sock:setoption('linger', { on = true, timeout = 0 })
  self:close()
end

function client.close_all()
  for self in pairs(opened) do
    self:close()
  end
end

return client
