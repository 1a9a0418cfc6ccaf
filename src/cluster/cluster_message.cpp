// SPDX-License-Identifier: MIT
#include "cluster/cluster_message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"

namespace websockets {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::size_t kLongestHeader = 256;
constexpr std::size_t kMostFields = 6;

// How many there are; more than there may be: none of the others is looked at.
std::size_t split(std::string_view line, std::array<std::string_view, kMostFields>& fields) {
  for (std::size_t count = 0; count < kMostFields; ++count) {
    const std::size_t end = line.find(' ');
    fields[count] = line.substr(0, end);
    if (fields[count].empty()) return 0;
    if (end == std::string_view::npos) return count + 1;
    line.remove_prefix(end + 1);
  }
  return 0;
}

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<ClusterMessage> ClusterMessage::parse(std::span<const std::uint8_t> payload) {
  const std::string_view begin = as_text(payload.first(std::min(payload.size(), kLongestHeader)));
  const std::size_t end = begin.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::array<std::string_view, kMostFields> fields;
  const std::size_t count = split(begin.substr(0, end), fields);
  const bool has_history = count == kMostFields;
  if (!has_history && count != 4) return std::nullopt;
  if (fields[0] != kVersion || (fields[1] != "t" && fields[1] != "b")) return std::nullopt;
  ClusterMessage message;
  message.opcode = fields[1] == "t" ? Opcode::kText : Opcode::kBinary;
  message.origin = fields[2];
  if (!read_number(fields[3], message.sender)) return std::nullopt;
  if (has_history) {
    message.epoch = fields[4];
    if (!read_number(fields[5], message.offset) || message.offset == 0) return std::nullopt;
  }
  message.data = payload.subspan(end + 1);
  return message;
}

std::string ClusterMessage::header() const {
  std::string line(kVersion);
  line.append(opcode == Opcode::kText ? " t " : " b ").append(origin).append(" ").append(std::to_string(sender));
  if (!epoch.empty()) line.append(" ").append(epoch).append(" ").append(std::to_string(offset));
  line += '\n';
  return line;
}

}  // namespace websockets
