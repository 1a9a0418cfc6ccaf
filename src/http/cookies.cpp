// SPDX-License-Identifier: MIT
#include "http/cookies.h"

#include <cstddef>

#include "base/http_text.h"

namespace websockets {

bool Cookies::next(std::string_view& name, std::string_view& value) {
  while (!rest_.empty()) {
    const std::size_t end = rest_.find(';');
    const std::string_view pair = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    name = http_text::trimmed(pair.substr(0, equals));
    value = http_text::trimmed(pair.substr(equals + 1));
    if (!name.empty()) return true;
  }
  return false;
}

}  // namespace websockets
