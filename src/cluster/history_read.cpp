// SPDX-License-Identifier: MIT
#include "cluster/history_read.h"

#include <charconv>
#include <cstddef>

#include "base/bytes.h"
#include "cluster/cluster_message.h"
#include "cluster/redis_reply.h"

namespace websockets {
namespace {

constexpr std::size_t kFieldsOfReply = 3;
constexpr std::size_t kFieldsOfMessage = 3;

bool read_offset(const RedisReply& reply, std::uint64_t& offset) {
  const std::string& text = reply.text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  return error == std::errc() && end == text.data() + text.size();
}

// What nobody could have written is a message that was lost: others may write to that key.
HistoryMessage message_of(std::uint64_t offset, std::string_view header, std::string_view data,
                          std::string_view origin) {
  HistoryMessage message;
  message.offset = offset;
  const std::optional<ClusterMessage> parsed = ClusterMessage::parse(as_bytes(header));
  message.is_lost = !parsed;
  if (!parsed) return message;
  message.opcode = parsed->opcode;
  message.sender = parsed->origin == origin ? parsed->sender : 0;
  message.data = data;
  return message;
}

}  // namespace

std::optional<HistoryRead> HistoryRead::parse(const RedisReply& reply, std::string_view origin) {
  const std::vector<RedisReply>& fields = reply.elements;
  if (fields.size() < kFieldsOfReply || (fields.size() - kFieldsOfReply) % kFieldsOfMessage != 0) return std::nullopt;
  HistoryRead read;
  read.epoch = fields[0].text;
  if (!read_offset(fields[1], read.top)) return std::nullopt;
  read.is_end = fields[2].text == "1";
  read.messages.reserve((fields.size() - kFieldsOfReply) / kFieldsOfMessage);
  std::uint64_t before = 0;
  for (std::size_t i = kFieldsOfReply; i < fields.size(); i += kFieldsOfMessage) {
    std::uint64_t offset = 0;
    if (!read_offset(fields[i], offset) || offset <= before || offset > read.top) return std::nullopt;
    before = offset;
    read.messages.push_back(message_of(offset, fields[i + 1].text, fields[i + 2].text, origin));
  }
  return read;
}

}  // namespace websockets
