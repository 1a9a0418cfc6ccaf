// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace websockets {

// An address to listen on or to connect to: IPv4 or IPv6 with its port, or a unix socket's path.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  bool is_unix() const { return storage.ss_family == AF_UNIX; }
  bool is_any() const;         // 0.0.0.0 or [::]
  std::uint16_t port() const;  // not of a unix socket
  void set_port(std::uint16_t port);
  std::string text() const;  // "192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80", "unix:/path"
};

// All addresses of this machine.
SocketAddress any_address(bool ipv6, std::uint16_t port);

// "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "fe80::1%2".
std::optional<SocketAddress> literal_address(const std::string& text, std::uint16_t port);

// What `interface` stands for: a literal IPv4 or IPv6 address, or the name of a network interface ("eth0"), which gives
// its addresses, those of IPv4 first.
Result<std::vector<SocketAddress>> interface_addresses(const std::string& interface, std::uint16_t port);

Result<SocketAddress> unix_address(const std::string& path);

// The addresses that a name has by the system's resolver, each once, with getaddrinfo()'s `flags`. Error: its EAI_*
// code, and a text that names the host. May block for long.
Result<std::vector<SocketAddress>> resolve_name(const std::string& name, std::uint16_t port, int flags);

// The addresses to listen at that a host's name has; a literal address and an interface's name are also taken.
Result<std::vector<SocketAddress>> host_addresses(const std::string& host, std::uint16_t port);

// The numeric address of a peer, in little room: IPv6, IPv4 mapped into it; all zero when it has none (unix sockets).
class PeerAddress {
 public:
  PeerAddress() = default;
  explicit PeerAddress(const SocketAddress& address);
  // As it is on the wire: 4 bytes of IPv4, or 16 of IPv6.
  explicit PeerAddress(std::span<const std::uint8_t> bytes);
  // "192.0.2.1", "2001:db8::1", and nothing else.
  static std::optional<PeerAddress> parse(std::string_view text);
  bool operator==(const PeerAddress&) const = default;
  std::string text() const;  // "192.0.2.1", "2001:db8::1", "fe80::1%eth0", ""
  SocketAddress socket_address() const;
  // What one customer of a provider has, as a number: an IPv4 address, or an IPv6 network of 64 bits; 0: no address.
  std::uint64_t network() const;
  bool is_ipv4() const;
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::uint32_t zone_ = 0;  // RFC 4007: the number of the interface that a link-local address belongs to
};

}  // namespace websockets
