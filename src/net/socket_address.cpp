// SPDX-License-Identifier: MIT
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <system_error>

namespace websockets {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

sockaddr_in* as_ipv4(SocketAddress& address) { return reinterpret_cast<sockaddr_in*>(&address.storage); }
sockaddr_in6* as_ipv6(SocketAddress& address) { return reinterpret_cast<sockaddr_in6*>(&address.storage); }
const sockaddr_in* as_ipv4(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in*>(&address.storage);
}
const sockaddr_in6* as_ipv6(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_in6*>(&address.storage);
}

std::uint32_t parse_zone(const std::string& text) {
  if (const std::uint32_t zone = if_nametoindex(text.c_str()); zone != 0) return zone;
  std::uint32_t zone = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, zone);
  return error == std::errc() && stop == end ? zone : 0;
}

bool parse_literal(const std::string& text, SocketAddress& address) {
  if (inet_pton(AF_INET, text.c_str(), &as_ipv4(address)->sin_addr) == 1) {
    address.storage.ss_family = AF_INET;
    address.size = sizeof(sockaddr_in);
    return true;
  }
  // fe80::1%eth0
  const std::size_t percent = text.find('%');
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &as_ipv6(address)->sin6_addr) != 1) return false;
  if (percent != std::string::npos) {
    as_ipv6(address)->sin6_scope_id = parse_zone(text.substr(percent + 1));
    if (as_ipv6(address)->sin6_scope_id == 0) return false;
  }
  address.storage.ss_family = AF_INET6;
  address.size = sizeof(sockaddr_in6);
  return true;
}

// RFC 4007 11.2.
std::string zone_text(std::uint32_t zone) {
  std::array<char, IF_NAMESIZE> name{};
  if (zone == 0) return {};
  return std::string("%").append(if_indextoname(zone, name.data()) == nullptr ? std::to_string(zone) : name.data());
}

std::string numeric_host(const SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* source = address.storage.ss_family == AF_INET ? static_cast<const void*>(&as_ipv4(address)->sin_addr)
                                                            : &as_ipv6(address)->sin6_addr;
  inet_ntop(address.storage.ss_family, source, text.data(), text.size());
  const bool is_ipv4 = address.storage.ss_family == AF_INET;
  return std::string(text.data()).append(is_ipv4 ? std::string() : zone_text(as_ipv6(address)->sin6_scope_id));
}

}  // namespace

bool SocketAddress::is_any() const {
  if (storage.ss_family == AF_INET) return as_ipv4(*this)->sin_addr.s_addr == htonl(INADDR_ANY);
  return storage.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&as_ipv6(*this)->sin6_addr);
}

std::uint16_t SocketAddress::port() const {
  return ntohs(storage.ss_family == AF_INET ? as_ipv4(*this)->sin_port : as_ipv6(*this)->sin6_port);
}

void SocketAddress::set_port(std::uint16_t port) {
  (storage.ss_family == AF_INET ? as_ipv4(*this)->sin_port : as_ipv6(*this)->sin6_port) = htons(port);
}

std::string SocketAddress::text() const {
  if (is_unix()) return std::string("unix:").append(reinterpret_cast<const sockaddr_un*>(&storage)->sun_path);
  const bool is_ipv4 = storage.ss_family == AF_INET;
  std::string text(is_ipv4 ? "" : "[");
  text.append(numeric_host(*this)).append(is_ipv4 ? ":" : "]:").append(std::to_string(port()));
  return text;
}

SocketAddress any_address(bool ipv6, std::uint16_t port) {
  SocketAddress address;
  if (ipv6) {
    as_ipv6(address)->sin6_addr = in6addr_any;
    address.size = sizeof(sockaddr_in6);
  } else {
    as_ipv4(address)->sin_addr.s_addr = htonl(INADDR_ANY);
    address.size = sizeof(sockaddr_in);
  }
  address.storage.ss_family = ipv6 ? AF_INET6 : AF_INET;
  address.set_port(port);
  return address;
}

std::optional<SocketAddress> literal_address(const std::string& text, std::uint16_t port) {
  SocketAddress address;
  if (!parse_literal(text, address)) return std::nullopt;
  address.set_port(port);
  return address;
}

Result<std::vector<SocketAddress>> interface_addresses(const std::string& interface, std::uint16_t port) {
  if (const auto literal = literal_address(interface, port)) return std::vector{*literal};
  std::vector<SocketAddress> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return Error{std::generic_category().message(errno), errno};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
      if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != family || interface != entry->ifa_name) continue;
      SocketAddress address;
      address.size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
      std::memcpy(&address.storage, entry->ifa_addr, address.size);
      address.set_port(port);
      found.push_back(address);
    }
  }
  if (found.empty()) return Error{"no network interface or address is called '" + interface + "'"};
  return found;
}

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress address;
  auto* const unix_socket = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() >= sizeof unix_socket->sun_path) {
    return Error{"a unix socket's path has 1 to " + std::to_string(sizeof unix_socket->sun_path - 1) + " bytes"};
  }
  unix_socket->sun_family = AF_UNIX;
  path.copy(unix_socket->sun_path, path.size());
  address.size = sizeof(sockaddr_un);
  return address;
}

Result<std::vector<SocketAddress>> resolve_name(const std::string& name, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(name.c_str(), nullptr, &hints, &list); code != 0) {
    const std::string why = code == EAI_SYSTEM ? std::generic_category().message(errno) : gai_strerror(code);
    return Error{"'" + name + "': " + why, code};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    address.size = entry->ai_addrlen;
    std::memcpy(&address.storage, entry->ai_addr, address.size);
    address.set_port(port);
    // A name may stand for the same address twice.
    const bool is_known = std::any_of(addresses.begin(), addresses.end(), [&](const SocketAddress& other) {
      return other.size == address.size && std::memcmp(&other.storage, &address.storage, address.size) == 0;
    });
    if (!is_known) addresses.push_back(address);
  }
  return addresses;
}

Result<std::vector<SocketAddress>> host_addresses(const std::string& host, std::uint16_t port) {
  Result<std::vector<SocketAddress>> found = interface_addresses(host, port);
  return found ? found : resolve_name(host, port, AI_PASSIVE);
}

PeerAddress::PeerAddress(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin());
    std::memcpy(bytes_.data() + kMappedPrefix.size(), &as_ipv4(address)->sin_addr, 4);
  } else if (address.storage.ss_family == AF_INET6) {
    std::memcpy(bytes_.data(), &as_ipv6(address)->sin6_addr, bytes_.size());
    zone_ = as_ipv6(address)->sin6_scope_id;
  }
}

PeerAddress::PeerAddress(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 4) std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin());
  std::copy(bytes.begin(), bytes.end(), bytes_.end() - static_cast<std::ptrdiff_t>(bytes.size()));
}

std::optional<PeerAddress> PeerAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> copy{};  // ends with a zero
  if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), copy.begin());
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, copy.data(), bytes.data()) == 1) return PeerAddress(std::span(bytes).first(4));
  if (inet_pton(AF_INET6, copy.data(), bytes.data()) == 1) return PeerAddress(std::span(bytes));
  return std::nullopt;
}

bool PeerAddress::is_ipv4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

std::uint64_t PeerAddress::network() const {
  std::uint64_t number;
  std::memcpy(&number, bytes_.data(), sizeof(number));
  // That of IPv4, and of ::1, is in the other half.
  if (number == 0) std::memcpy(&number, bytes_.data() + sizeof(number), sizeof(number));
  return number;
}

SocketAddress PeerAddress::socket_address() const {
  SocketAddress address = any_address(!is_ipv4(), 0);
  if (is_ipv4()) {
    std::memcpy(&as_ipv4(address)->sin_addr, bytes_.data() + kMappedPrefix.size(), 4);
  } else {
    std::memcpy(&as_ipv6(address)->sin6_addr, bytes_.data(), bytes_.size());
    as_ipv6(address)->sin6_scope_id = zone_;
  }
  return address;
}

std::string PeerAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_ipv4()) {
    inet_ntop(AF_INET, bytes_.data() + kMappedPrefix.size(), text.data(), text.size());
  } else if (std::any_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte != 0; })) {
    inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  }
  return std::string(text.data()).append(zone_text(zone_));
}

}  // namespace websockets
