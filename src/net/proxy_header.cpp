// SPDX-License-Identifier: MIT
#include "net/proxy_header.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace websockets {
namespace {

constexpr std::string_view kLineStart = "PROXY ";
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kBinaryHeadBytes = 16;
constexpr std::size_t kMostBinaryBytes = kBinaryHeadBytes + 36;  // that are looked at

// The values of the 13th and the 14th byte.
constexpr unsigned kLocal = 0x20;
constexpr unsigned kProxied = 0x21;
constexpr unsigned kUnspecified = 0x00;
constexpr unsigned kTcp4 = 0x11;
constexpr unsigned kTcp6 = 0x21;
constexpr unsigned kUnixStream = 0x31;

// Both addresses and both ports.
std::size_t address_bytes(unsigned family) {
  switch (family) {
    case kTcp4:
      return 12;
    case kTcp6:
      return 36;
    case kUnixStream:
      return 216;
    default:
      return 0;
  }
}

// Takes what is before the next blank.
std::string_view take_word(std::string_view& line) {
  const std::size_t blank = line.find(' ');
  const std::string_view word = line.substr(0, blank);
  line = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
  return word;
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  unsigned number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number <= 65535;
}

std::optional<PeerAddress> parse_address(std::string_view text, bool is_ipv6) {
  if ((text.find(':') != std::string_view::npos) != is_ipv6) return std::nullopt;
  return PeerAddress::parse(text);
}

}  // namespace

ProxyHeaderParser::Status ProxyHeaderParser::consume(std::span<const std::uint8_t>& input) {
  while (status_ == Status::kIncomplete && !input.empty()) {
    if (size_ >= kMostBinaryBytes && bytes_[0] == '\r') {  // extensions, and names of unix sockets
      const std::size_t skipped = std::min(input.size(), rest_bytes_);
      input = input.subspan(skipped);
      rest_bytes_ -= skipped;
      if (rest_bytes_ == 0) status_ = Status::kDone;
    } else {
      status_ = consume_byte(input.front());
      input = input.subspan(1);
    }
  }
  return status_;
}

ProxyHeaderParser::Status ProxyHeaderParser::consume_byte(std::uint8_t byte) {
  const bool is_binary = size_ == 0 ? byte == '\r' : bytes_[0] == '\r';
  const std::string_view start = is_binary ? kSignature : kLineStart;
  if (size_ < start.size() && byte != static_cast<std::uint8_t>(start[size_])) return Status::kError;
  bytes_[size_++] = byte;
  return is_binary ? consume_binary() : consume_line();
}

// --- Version 1 ---

ProxyHeaderParser::Status ProxyHeaderParser::consume_line() {
  if (bytes_[size_ - 1] == '\n') return bytes_[size_ - 2] == '\r' ? read_line() : Status::kError;
  return size_ == bytes_.size() ? Status::kError : Status::kIncomplete;
}

ProxyHeaderParser::Status ProxyHeaderParser::read_line() {
  std::string_view line(reinterpret_cast<const char*>(bytes_.data()), size_ - 2);
  line.remove_prefix(kLineStart.size());
  const std::string_view protocol = take_word(line);
  if (protocol == "UNKNOWN") return Status::kDone;
  if (protocol != "TCP4" && protocol != "TCP6") return Status::kError;
  const bool is_ipv6 = protocol == "TCP6";
  const std::optional<PeerAddress> source = parse_address(take_word(line), is_ipv6);
  const std::optional<PeerAddress> destination = parse_address(take_word(line), is_ipv6);
  const std::string_view source_port = take_word(line);
  if (!source || !destination || !is_port(source_port) || !is_port(line)) return Status::kError;
  source_ = Source::kAddress;
  client_ = *source;
  return Status::kDone;
}

// --- Version 2 ---

ProxyHeaderParser::Status ProxyHeaderParser::consume_binary() {
  if (size_ < kBinaryHeadBytes) return Status::kIncomplete;
  if (size_ == kBinaryHeadBytes) return read_binary_head();
  --rest_bytes_;
  const unsigned family = bytes_[13];
  if (source_ == Source::kAddress && size_ == kBinaryHeadBytes + address_bytes(family)) {
    client_ = PeerAddress(std::span(bytes_).subspan(kBinaryHeadBytes, family == kTcp4 ? 4 : 16));
  }
  return rest_bytes_ == 0 ? Status::kDone : Status::kIncomplete;
}

ProxyHeaderParser::Status ProxyHeaderParser::read_binary_head() {
  const unsigned command = bytes_[12];
  const unsigned family = bytes_[13];
  rest_bytes_ = static_cast<std::size_t>(bytes_[14]) * 256 + bytes_[15];
  if (command == kProxied && family != kUnspecified) {
    if (address_bytes(family) == 0 || rest_bytes_ < address_bytes(family)) return Status::kError;
    source_ = family == kUnixStream ? Source::kUnixSocket : Source::kAddress;
  } else if (command != kLocal && command != kProxied) {
    return Status::kError;
  }
  return rest_bytes_ == 0 ? Status::kDone : Status::kIncomplete;
}

}  // namespace websockets
