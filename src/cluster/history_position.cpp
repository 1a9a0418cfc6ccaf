// SPDX-License-Identifier: MIT
#include "cluster/history_position.h"

#include <algorithm>
#include <charconv>

namespace websockets {
namespace {

constexpr std::size_t kLongestWord = 64;

// ASCII only, whatever the locale says.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kLongestWord && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

}  // namespace

std::optional<HistoryPosition> HistoryPosition::parse(std::string_view text) {
  const std::size_t first = text.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view epoch = text.substr(0, first);
  const std::string_view replication = text.substr(first + 1, second - first - 1);
  const std::string_view number = text.substr(second + 1);
  HistoryPosition position;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), position.offset);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  if (!is_word(epoch) || !is_word(replication)) return std::nullopt;
  position.epoch = epoch;
  position.replication = replication;
  return position;
}

std::string HistoryPosition::text() const { return epoch + '.' + replication + '.' + std::to_string(offset); }

}  // namespace websockets
