// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets {

// What Redis runs for topics with a history. A topic has two keys: a stream of its messages, whose ids are OFFSET-0,
// and a hash of its epoch and of the newest message's offset. Redis forgets both at the same time.

// KEYS: stream, hash. ARGV: an epoch, if there is none; most messages; milliseconds until it is forgotten; the channel;
// a ClusterMessage's header, without history; the data; a name that no other message has; '1' if it may have been
// published before, as its reply was lost: then it is looked for among the newest ones.
constexpr std::string_view kHistoryPublishScript = R"lua(
if ARGV[8] == '1' then
  for _, one in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', math.min(ARGV[2], 1000))) do
    if one[2][6] == ARGV[7] then return '0' end
  end
end
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', epoch)
end
local offset = string.format('%.0f', redis.call('HINCRBY', KEYS[2], 'offset', 1))
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], offset .. '-0', 'h', ARGV[5], 'd', ARGV[6], 'i', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PUBLISH', ARGV[4], string.sub(ARGV[5], 1, -2) .. ' ' .. epoch .. ' ' .. offset .. '\n' .. ARGV[6])
return offset
)lua";

// KEYS: stream, hash. ARGV: the epoch that is known; the offset behind which it reads, if that is still the epoch, else
// it reads from the beginning; most messages; from how many bytes on it reads no more; most bytes of a message; an
// epoch, if there is none, or ''; milliseconds until that is forgotten. Returns: the epoch or ''; the newest offset;
// '1' if there is nothing behind what was read; and for each message its offset, header and data. A larger one has
// neither, nor has an entry that is none of ours; what is behind the newest offset is left out.
constexpr std::string_view kHistoryReadScript = R"lua(
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'offset')
local epoch, top = meta[1] or '', meta[2] or '0'
if epoch == '' and ARGV[6] ~= '' then
  epoch = ARGV[6]
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', epoch)
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
local reply = {epoch, top, '0'}
if top == '0' then
  reply[3] = '1'
  return reply
end
local behind = '-18446744073709551615'
local from = (epoch == ARGV[1] and ARGV[2] or '0') .. behind
local bytes = 0
for i = 1, tonumber(ARGV[3]) do
  local one = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  local offset = one and string.sub(one[1], 1, string.find(one[1], '-', 1, true) - 1)
  if not one or tonumber(offset) > tonumber(top) then
    reply[3] = '1'
    break
  end
  local header, data = one[2][2], one[2][4] or ''
  if #data > tonumber(ARGV[5]) or #header > 1000 then header, data = '', '' end
  reply[#reply + 1] = offset
  reply[#reply + 1] = header
  reply[#reply + 1] = data
  if offset == top then
    reply[3] = '1'
    break
  end
  bytes = bytes + #data
  if bytes >= tonumber(ARGV[4]) then break end
  from = offset .. behind
end
return reply
)lua";

}  // namespace websockets
