// SPDX-License-Identifier: MIT
#include "http/url.h"

#include <cstddef>

#include "protocol/http_text.h"

namespace websockets {
namespace {

using http_text::hexadecimal_value;

// RFC 9112 3.2.2: what is behind the authority.
std::string_view without_authority(std::string_view target) {
  const std::size_t scheme_end = target.find("://");
  if (target.starts_with('/') || scheme_end == std::string_view::npos) return target;
  const std::size_t authority_end = target.find_first_of("/?", scheme_end + 3);
  return authority_end == std::string_view::npos ? std::string_view() : target.substr(authority_end);
}

}  // namespace

TargetParts split_target(std::string_view target) {
  const std::string_view rest = without_authority(target);
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
