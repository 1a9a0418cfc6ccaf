-- SPDX-License-Identifier: MIT
-- A TCP proxy that spoils connections. It is served like a context, by service(), as a rule in a process of its own: see
-- remote.lua.

local socket = require 'socket'

local tcp_proxy = {}
tcp_proxy.__index = tcp_proxy

-- Between clients, which connect to `port`, and what listens at 127.0.0.1:`target`. Fields that may be set at any time:
-- delay_s (how long each piece is on its way), is_stalled (nothing is carried), cut_after (so many bytes of answers are
-- still carried on each connection, which is then ended).
function tcp_proxy.new(port, target)
  local listener = assert(socket.bind('127.0.0.1', port))
  listener:settimeout(0)
  return setmetatable({ listener = listener, target = target, delay_s = 0, ways = {} }, tcp_proxy)
end

-- One direction of a connection.
local function way(from, to, is_answer)
  return { from = from, to = to, pieces = {}, is_answer = is_answer, carried = 0 }
end

local function end_both(one)
  one.from:close()
  one.to:close()
  one.has_ended = true
end

function tcp_proxy:accept()
  local near = self.listener:accept()
  if not near then return end
  local far = assert(socket.connect('127.0.0.1', self.target))
  for _, one in ipairs { near, far } do
    one:settimeout(0)
    one:setoption('tcp-nodelay', true)
  end
  self.ways[#self.ways + 1] = way(near, far, false)
  self.ways[#self.ways + 1] = way(far, near, true)
end

-- What has come waits for its time.
function tcp_proxy:read(one, now)
  local data, why, partial = one.from:receive(65536)
  data = data or partial
  if data and #data > 0 then one.pieces[#one.pieces + 1] = { data = data, time = now + self.delay_s } end
  if why == 'closed' then one.is_last = true end
end

function tcp_proxy:write(one, now)
  local piece = one.pieces[1]
  if not piece then
    if one.is_last then end_both(one) end
    return
  end
  if piece.time > now then return end
  local room = one.is_answer and self.cut_after and self.cut_after - one.carried or #piece.data
  if room <= 0 then return end_both(one) end
  local last, why, partial = one.to:send(piece.data, 1, math.min(room, #piece.data))
  local sent = last or partial or 0
  if why == 'closed' then return end_both(one) end
  one.carried = one.carried + sent
  piece.data = piece.data:sub(sent + 1)
  if piece.data == '' then table.remove(one.pieces, 1) end
end

function tcp_proxy:service()
  self:accept()
  if self.is_stalled then return end
  local now = socket.gettime()
  local left = {}
  for _, one in ipairs(self.ways) do
    if not one.has_ended then self:read(one, now) end
    if not one.has_ended then self:write(one, now) end
    if not one.has_ended then left[#left + 1] = one end
  end
  self.ways = left
end

return tcp_proxy
