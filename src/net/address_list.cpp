// SPDX-License-Identifier: MIT
#include "net/address_list.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace websockets {
namespace {

constexpr unsigned kAddressBits = 128;
constexpr unsigned kIpv4Bits = 32;

bool is_within(const PeerAddress& address, const PeerAddress& network, unsigned bits) {
  const std::size_t whole_bytes = bits / 8;
  const auto first = address.bytes().begin();
  const auto middle = first + static_cast<std::ptrdiff_t>(whole_bytes);
  if (!std::equal(first, middle, network.bytes().begin())) return false;
  if (bits % 8 == 0) return true;
  const unsigned difference = static_cast<unsigned>(*middle) ^ network.bytes()[whole_bytes];
  return difference >> (8 - bits % 8) == 0;
}

}  // namespace

bool AddressList::add(std::string_view text) {
  if (text == "unix") return has_unix_ = true;
  const std::size_t slash = text.find('/');
  const std::optional<PeerAddress> address = PeerAddress::parse(text.substr(0, slash));
  if (!address) return false;
  const bool is_ipv4 = text.find(':') == std::string_view::npos;
  const unsigned most = is_ipv4 ? kIpv4Bits : kAddressBits;
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc() || end != number.data() + number.size() || bits > most) return false;
  }
  networks_.push_back({*address, kAddressBits - most + bits});
  return true;
}

bool AddressList::contains(const PeerAddress& address) const {
  if (address == PeerAddress()) return has_unix_;
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const Network& network) { return is_within(address, network.address, network.bits); });
}

}  // namespace websockets
