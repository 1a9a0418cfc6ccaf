// SPDX-License-Identifier: MIT
#include "http/origin.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/http_text.h"

namespace websockets {
namespace {

using http_text::equals_ignoring_case;

constexpr std::string_view kSeparator = "://";
constexpr char kVerbatim = '=';

bool is_host_char(char c) { return http_text::is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; }

bool is_scheme_char(char c) { return http_text::is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; }

std::string_view without_default_port(std::string_view pattern) {
  for (const auto& [scheme, port] :
       {std::pair<std::string_view, std::string_view>("https:", ":443"), {"http:", ":80"}}) {
    if (equals_ignoring_case(pattern.substr(0, scheme.size()), scheme) && pattern.ends_with(port)) {
      return pattern.substr(0, pattern.size() - port.size());
    }
  }
  return pattern;
}

// A name, or an IPv6 address in brackets, and perhaps a port.
bool is_authority(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  } else {
    const auto end = std::find_if_not(text.begin(), text.end(), is_host_char);
    if (end == text.begin()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
  if (text.empty()) return true;
  return text.size() > 1 && text.front() == ':' && std::all_of(text.begin() + 1, text.end(), http_text::is_digit);
}

// Whose origins are a scheme, a host and perhaps a port (RFC 6454 4): anything else is a mistake.
bool is_web_scheme(std::string_view scheme) {
  return equals_ignoring_case(scheme, "https") || equals_ignoring_case(scheme, "http");
}

// What may be sent as a header, but for blanks.
bool is_visible(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return c == '*' || http_text::is_blank(c) || http_text::is_control(c); });
}

}  // namespace

bool is_origin_pattern(std::string_view pattern) {
  if (pattern == "*" || pattern == "null" || pattern.starts_with(kVerbatim)) return true;
  const std::size_t scheme_end = pattern.find(kSeparator);
  if (scheme_end == std::string_view::npos || scheme_end == 0) return false;
  if (!std::all_of(pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(scheme_end), is_scheme_char)) {
    return false;
  }
  std::string_view authority = pattern.substr(scheme_end + kSeparator.size());
  const bool is_for_labels = authority.starts_with("*.");
  if (is_for_labels) authority.remove_prefix(2);
  if (is_web_scheme(pattern.substr(0, scheme_end)) || is_for_labels) return is_authority(authority);
  return is_visible(authority);
}

bool matches_origin(std::string_view origin, std::string_view pattern) {
  if (pattern == "*") return true;
  if (pattern.starts_with(kVerbatim)) return origin == pattern.substr(1);
  pattern = without_default_port(pattern);
  const std::size_t star = pattern.find("://*.");
  if (star == std::string_view::npos) return equals_ignoring_case(origin, pattern);
  const std::string_view before = pattern.substr(0, star + kSeparator.size());
  const std::string_view behind = pattern.substr(before.size() + 1);  // with its dot
  if (origin.size() <= before.size() + behind.size()) return false;
  const std::string_view labels = origin.substr(before.size(), origin.size() - before.size() - behind.size());
  return equals_ignoring_case(origin.substr(0, before.size()), before) &&
         equals_ignoring_case(origin.substr(origin.size() - behind.size()), behind) &&
         std::all_of(labels.begin(), labels.end(), is_host_char);
}

}  // namespace websockets
