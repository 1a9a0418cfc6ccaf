// SPDX-License-Identifier: MIT
#include "client/redirect.h"

#include <algorithm>
#include <cstddef>

#include "base/http_text.h"

namespace websockets {
namespace {

// RFC 3986 3.1.
bool has_scheme(std::string_view reference) {
  const std::size_t end =
      reference.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
  return end != std::string_view::npos && end > 0 && reference[end] == ':' && !http_text::is_digit(reference.front()) &&
         http_text::is_alphanumeric(reference.front());
}

// RFC 3986 5.2.4, of a path that begins with "/".
std::string without_dots(std::string_view path) {
  std::string kept;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/', 1));
    path.remove_prefix(segment.size());
    const bool is_up = segment == "/..";
    if (is_up) kept.erase(std::min(kept.rfind('/'), kept.size()));
    if (!is_up && segment != "/.") {
      kept += segment;
    } else if (path.empty()) {
      kept += '/';
    }
  }
  return kept;
}

// RFC 3986 5.2.2, of a reference that begins with a path, or has none.
std::string resolve_target(std::string_view base, std::string_view reference) {
  const std::size_t query = std::min(reference.find('?'), reference.size());
  const std::string_view path = reference.substr(0, query);
  if (reference.empty()) return std::string(base);
  base = base.substr(0, base.find('?'));
  std::string merged;
  if (path.empty()) {
    merged = base;
  } else if (path.starts_with('/')) {
    merged = without_dots(path);
  } else {
    merged = without_dots(std::string(base.substr(0, base.rfind('/') + 1)).append(path));
  }
  return merged.append(reference.substr(query));
}

Redirects::Step refused(const WebsocketUrl& from, std::string_view why) {
  Redirects::Step step;
  step.failure.kind = FailureKind::kHttp;
  step.failure.phase = FailurePhase::kHttp;
  step.failure.is_final = true;
  step.failure.message = from.place();
  step.failure.message.append(": ").append(why);
  return step;
}

}  // namespace

std::string resolve_location(const WebsocketUrl& base, std::string_view location) {
  location = location.substr(0, location.find('#'));
  if (has_scheme(location)) return std::string(location);
  if (location.starts_with("//")) return std::string(base.is_tls ? "wss:" : "ws:").append(location);
  WebsocketUrl url = base;
  url.target = resolve_target(base.target, location);
  return url.text();
}

bool is_same_origin(const WebsocketUrl& a, const WebsocketUrl& b) {
  return a.is_tls == b.is_tls && a.host == b.host && a.port == b.port && a.unix_path == b.unix_path;
}

Redirects::Step Redirects::follow(const WebsocketUrl& from, std::string_view location) {
  if (location.empty()) return refused(from, "the server redirects to nowhere");
  if (visited_.size() == limit_) return refused(from, "the server redirects too often");
  const std::string text = resolve_location(from, location);
  const bool stays = !from.unix_path.empty() && !has_scheme(location) && !location.starts_with("//");
  Result<WebsocketUrl> url = parse_websocket_url(text);
  if (!url) return refused(from, "the server redirects, but " + url.error().text);
  if (!url->unix_path.empty() && !stays) return refused(from, "the server redirects to a unix socket");
  if (from.is_tls && !url->is_tls) return refused(from, "the server redirects to a connection without TLS");
  visited_.push_back(from.text());
  if (std::find(visited_.begin(), visited_.end(), url->text()) != visited_.end()) {
    return refused(from, "the server redirects in a circle");
  }
  Step step;
  step.is_other_origin = !is_same_origin(from, *url);
  if (!step.is_other_origin && url->userinfo.empty()) url->userinfo = from.userinfo;
  step.url = std::move(*url);
  return step;
}

}  // namespace websockets
