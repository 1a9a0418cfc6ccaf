// SPDX-License-Identifier: MIT
#include "net/name_lookup.h"

#include <netdb.h>

#include <new>
#include <string_view>
#include <utility>

#include "base/http_text.h"

namespace websockets {
namespace {

// Addresses of a family that this machine has no way for would only be tried in vain.
Result<std::vector<SocketAddress>> resolve_by_system(const std::string& host, std::uint16_t port) {
  return resolve_name(host, port, AI_ADDRCONFIG);
}

bool is_localhost(std::string_view host) {
  constexpr std::string_view kName = "localhost";
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() < kName.size()) return false;
  const std::string_view before = host.substr(0, host.size() - kName.size());
  return http_text::equals_ignoring_case(host.substr(before.size()), kName) &&
         (before.empty() || before.ends_with('.'));
}

}  // namespace

NameLookup::NameLookup(std::string host, std::uint16_t port, NameLookupOwner& owner, Resolve resolve)
    : host_(std::move(host)),
      port_(port),
      owner_(owner),
      resolve_(resolve == nullptr ? resolve_by_system : std::move(resolve)),
      found_(Error{"not looked up", EAI_AGAIN}) {}

void NameLookup::run() noexcept {
  try {
    found_ = resolve_(host_, port_);
    if (found_ && found_->empty()) found_ = Error{"'" + host_ + "' has no address", EAI_NONAME};
  } catch (const std::bad_alloc&) {
    found_ = Error{"no memory", EAI_MEMORY};
  }
}

void NameLookup::on_done(bool has_run) {
  if (has_run) return owner_.on_addresses(std::move(found_));
  owner_.on_addresses(Error{"'" + host_ + "': the look-up was lost by a fork", EAI_AGAIN});
}

std::optional<std::vector<SocketAddress>> addresses_without_lookup(const std::string& host, std::uint16_t port) {
  if (const auto literal = literal_address(host, port)) return std::vector{*literal};
  if (!is_localhost(host)) return std::nullopt;
  std::vector<SocketAddress> addresses;
  for (const std::string loopback : {"::1", "127.0.0.1"}) addresses.push_back(*literal_address(loopback, port));
  return addresses;
}

}  // namespace websockets
