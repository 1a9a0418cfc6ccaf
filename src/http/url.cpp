// SPDX-License-Identifier: MIT
#include "http/url.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/http_text.h"

namespace websockets {
namespace {

using http_text::hexadecimal_value;

// RFC 9112 3.2.2: the scheme with "://", the authority, and what is behind it. Others are nothing but a rest.
struct AbsoluteParts {
  std::string_view scheme;
  std::string_view authority;
  std::string_view rest;
};

AbsoluteParts split_absolute(std::string_view target) {
  const std::size_t scheme_end = target.find("://");
  if (target.starts_with('/') || scheme_end == std::string_view::npos) return {{}, {}, target};
  const std::size_t begin = scheme_end + 3;
  const std::size_t end = std::min(target.find_first_of("/?", begin), target.size());
  return {target.substr(0, begin), target.substr(begin, end - begin), target.substr(end)};
}

bool is_name_char(char c) {
  return http_text::is_alphanumeric(c) ||
         (c != '\0' && std::string_view("-._~!$&'()*+;=").find(c) != std::string_view::npos);
}

// Takes what stands between brackets, or a name or an IPv4 address, off the front of an authority.
bool take_host(std::string_view& text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    const std::string_view address = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return std::all_of(address.begin(), address.end(), [](char c) { return is_name_char(c) || c == ':' || c == '%'; });
  }
  for (; !text.empty() && text.front() != ':'; text.remove_prefix(1)) {
    if (is_name_char(text.front())) continue;
    const bool is_encoded =
        text.front() == '%' && text.size() > 2 && hexadecimal_value(text[1]) >= 0 && hexadecimal_value(text[2]) >= 0;
    if (!is_encoded) return false;
    text.remove_prefix(2);
  }
  return true;
}

}  // namespace

bool is_host(std::string_view text) {
  if (!take_host(text)) return false;
  return text.empty() || (text.front() == ':' && std::all_of(text.begin() + 1, text.end(), http_text::is_digit));
}

bool is_target(std::string_view method, std::string_view target) {
  if (target.find('#') != std::string_view::npos) return false;
  if (target.starts_with('/')) return true;
  if (target == "*") return method == "OPTIONS";
  const AbsoluteParts parts = split_absolute(target);
  // RFC 6455 3: the URIs of websockets, which some clients send as they are.
  constexpr std::array<std::string_view, 4> kSchemes = {"http://", "https://", "ws://", "wss://"};
  const bool is_known = std::any_of(kSchemes.begin(), kSchemes.end(), [&](std::string_view scheme) {
    return http_text::equals_ignoring_case(parts.scheme, scheme);
  });
  // RFC 9110 4.2.1: these URIs have a host.
  return is_known && !parts.authority.empty() && parts.authority.front() != ':' && is_host(parts.authority);
}

std::string_view target_authority(std::string_view target) { return split_absolute(target).authority; }

TargetParts split_target(std::string_view target) {
  const std::string_view rest = split_absolute(target).rest;
  const std::size_t question_mark = rest.find('?');
  TargetParts parts{rest.substr(0, question_mark), {}};
  if (question_mark != std::string_view::npos) parts.query = rest.substr(question_mark + 1);
  if (parts.path.empty()) parts.path = "/";
  return parts;
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hexadecimal_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hexadecimal_value(text[i + 2]) : -1;
    if (low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

bool QueryFields::next(std::string& name, std::string& value) {
  while (!rest_.empty()) {
    const std::size_t end = rest_.find('&');
    const std::string_view field = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    if (field.empty()) continue;
    const std::size_t equals = field.find('=');
    name = percent_decode(field.substr(0, equals), true);
    value = equals == std::string_view::npos ? std::string() : percent_decode(field.substr(equals + 1), true);
    return true;
  }
  return false;
}

}  // namespace websockets
