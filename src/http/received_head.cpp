// SPDX-License-Identifier: MIT
#include "http/received_head.h"

#include <algorithm>

#include "base/http_text.h"

namespace websockets {
namespace {

// Where the parts of a status line are: "HTTP/1.1 101 Switching Protocols" (RFC 9112 4).
constexpr std::size_t kMinorVersion = 7;
constexpr std::size_t kStatus = 9;
constexpr std::size_t kReason = 13;

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find("\r\n"));
  text.remove_prefix(std::min(line.size() + 2, text.size()));
  return line;
}

}  // namespace

bool HeaderLines::next(std::string_view& name, std::string_view& value) {
  const std::string_view line = take_line(rest_);
  if (line.empty()) return false;
  name = line.substr(0, line.find(':'));
  value = http_text::trimmed(line.substr(std::min(name.size() + 1, line.size())));
  return true;
}

std::string_view ReceivedHead::status_line() const {
  std::string_view text = text_;
  return take_line(text);
}

int ReceivedHead::status() const {
  if (text_.size() < kReason) return 0;
  return 100 * (text_[kStatus] - '0') + 10 * (text_[kStatus + 1] - '0') + (text_[kStatus + 2] - '0');
}

int ReceivedHead::minor_version() const { return text_.size() < kReason ? 1 : text_[kMinorVersion] - '0'; }

std::string_view ReceivedHead::reason() const {
  const std::string_view line = status_line();
  return line.substr(std::min(kReason, line.size()));
}

HeaderLines ReceivedHead::headers() const {
  std::string_view text = text_;
  take_line(text);
  return HeaderLines(text);
}

std::string_view ReceivedHead::header(std::string_view name) const {
  HeaderLines lines = headers();
  std::string_view other;
  std::string_view value;
  while (lines.next(other, value)) {
    if (http_text::equals_ignoring_case(other, name)) return value;
  }
  return {};
}

std::size_t ReceivedHead::count(std::string_view name) const {
  HeaderLines lines = headers();
  std::string_view other;
  std::string_view value;
  std::size_t found = 0;
  while (lines.next(other, value)) found += http_text::equals_ignoring_case(other, name) ? 1U : 0U;
  return found;
}

std::string ReceivedHead::joined(std::string_view name) const {
  HeaderLines lines = headers();
  std::string_view other;
  std::string_view value;
  std::string all;
  bool is_first = true;
  while (lines.next(other, value)) {
    if (!http_text::equals_ignoring_case(other, name)) continue;
    if (!is_first) all += ", ";
    all += value;
    is_first = false;
  }
  return all;
}

}  // namespace websockets
