// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "net/socket_address.h"

namespace websockets {

// Reads what a proxy says of its client in front of everything else: the PROXY protocol, versions 1 and 2
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Bytes in, split anywhere; knows no socket.
class ProxyHeaderParser {
 public:
  enum class Status : std::uint8_t { kIncomplete, kDone, kError };
  // Takes bytes from the front of `input`, none that is behind the header, and advances it. kError: this is no such
  // header; it says so at the first byte that cannot be one.
  Status consume(std::span<const std::uint8_t>& input);

  // After kDone. kProxy: the proxy speaks for itself, or does not know the client.
  enum class Source : std::uint8_t { kProxy, kAddress, kUnixSocket };
  Source source() const { return source_; }
  const PeerAddress& client() const { return client_; }  // of kAddress

 private:
  Status consume_byte(std::uint8_t byte);
  Status consume_line();
  Status read_line();
  Status consume_binary();
  Status read_binary_head();

  static constexpr std::size_t kMostLineBytes = 107;
  std::array<std::uint8_t, kMostLineBytes> bytes_;  // the line of version 1; of version 2 what is before the extensions
  std::size_t size_ = 0;
  std::size_t rest_bytes_ = 0;  // version 2: behind the first 16
  Status status_ = Status::kIncomplete;
  Source source_ = Source::kProxy;
  PeerAddress client_;
};

}  // namespace websockets
