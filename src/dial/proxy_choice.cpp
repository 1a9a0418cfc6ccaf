// SPDX-License-Identifier: MIT
#include "dial/proxy_choice.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/http_text.h"
#include "http/websocket_url.h"
#include "net/address_list.h"

namespace websockets {
namespace {

using http_text::equals_ignoring_case;

struct Scheme {
  std::string_view name;
  Proxy::Kind kind;
  std::uint16_t port;
};
constexpr std::array<Scheme, 3> kSchemes = {Scheme{"http", Proxy::Kind::kHttp, 80},
                                            {"https", Proxy::Kind::kHttps, 443},
                                            {"socks5h", Proxy::Kind::kSocks5h, 1080}};

Error no_proxy_error(std::string_view text, std::string_view why) {
  std::string reason("'");
  reason.append(url_for_messages(text)).append("' is no URL of a proxy: ").append(why);
  return {reason};
}

std::string_view without_final_dot(std::string_view name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

// Whether `host` is `name` or ends with "." and it.
bool is_within_domain(std::string_view host, std::string_view name) {
  if (name.empty() || host.size() < name.size()) return false;
  const std::string_view before = host.substr(0, host.size() - name.size());
  return equals_ignoring_case(host.substr(before.size()), name) && (before.empty() || before.ends_with('.'));
}

bool is_local(std::string_view host) {
  AddressList loopback;
  loopback.add("127.0.0.0/8");
  loopback.add("::1");
  const std::optional<PeerAddress> address = PeerAddress::parse(host);
  return address ? loopback.contains(*address)
                 : is_within_domain(without_final_dot(host), "localhost");  // RFC 6761 6.3
}

bool has_element(std::string_view element, std::string_view host, std::uint16_t port) {
  if (element == "*") return true;
  AddressList network;
  if (network.add(element)) {
    const std::optional<PeerAddress> address = PeerAddress::parse(host.substr(0, host.find('%')));
    return address && network.contains(*address);
  }
  if (element.starts_with('.')) element.remove_prefix(1);
  Result<Authority> wanted = parse_authority(element);
  if (!wanted || (wanted->port != 0 && wanted->port != port)) return false;
  if (const std::optional<PeerAddress> address = PeerAddress::parse(wanted->host)) {
    return PeerAddress::parse(host.substr(0, host.find('%'))) == address;
  }
  // An address is within no domain.
  return !PeerAddress::parse(host) && is_within_domain(without_final_dot(host), without_final_dot(wanted->host));
}

// The first of the variables that is set, lower case first; its name, too.
std::pair<std::string, const char*> find_variable(std::initializer_list<std::string_view> names,
                                                  const Environment& environment) {
  for (const std::string_view name : names) {
    std::string variable(name);
    if (const char* value = environment(variable.c_str())) return {variable, value};
    if (name == "http_proxy") continue;
    std::transform(variable.begin(), variable.end(), variable.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    if (const char* value = environment(variable.c_str())) return {variable, value};
  }
  return {{}, nullptr};
}

}  // namespace

Result<Proxy> parse_proxy(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  const std::string_view scheme = scheme_end == std::string_view::npos ? "http" : text.substr(0, scheme_end);
  const auto* const found = std::find_if(kSchemes.begin(), kSchemes.end(),
                                         [&](const Scheme& known) { return equals_ignoring_case(known.name, scheme); });
  if (found == kSchemes.end()) return no_proxy_error(text, "its scheme is none of http, https and socks5h");
  std::string_view rest = scheme_end == std::string_view::npos ? text : text.substr(scheme_end + 3);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  Result<Authority> authority = parse_authority(rest);
  if (!authority) return no_proxy_error(text, authority.error().text);
  Proxy proxy;
  proxy.kind = found->kind;
  proxy.host = std::move(authority->host);
  proxy.port = authority->port != 0 ? authority->port : found->port;
  proxy.userinfo = std::move(authority->userinfo);
  return proxy;
}

Result<Proxy> proxy_of_environment(const ProxyTarget& target, const Environment& environment) {
  if (is_local(target.host)) return Proxy();
  const auto [name, value] = target.is_tls ? find_variable({"wss_proxy", "https_proxy", "all_proxy"}, environment)
                                           : find_variable({"ws_proxy", "http_proxy", "all_proxy"}, environment);
  if (value == nullptr || *value == '\0') return Proxy();
  const char* const exceptions = find_variable({"no_proxy"}, environment).second;
  if (exceptions != nullptr && is_in_no_proxy(exceptions, target.host, target.port)) return Proxy();
  Result<Proxy> proxy = parse_proxy(value);
  if (proxy) return proxy;
  std::string text("environment variable ");
  return Error{text.append(name).append(": ").append(proxy.error().text)};
}

bool is_in_no_proxy(std::string_view list, std::string_view host, std::uint16_t port) {
  while (!list.empty()) {
    const std::string_view element = list.substr(0, list.find_first_of(", \t"));
    list.remove_prefix(std::min(element.size() + 1, list.size()));
    if (!element.empty() && has_element(element, host, port)) return true;
  }
  return false;
}

}  // namespace websockets
