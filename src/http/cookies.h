// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets {

// Walks the pairs of a Cookie header (RFC 6265 4.2.1, 5.4). Values are as they were set, quotes included; what has no
// "=" or no name is left out.
class Cookies {
 public:
  explicit Cookies(std::string_view header) : rest_(header) {}
  // False at the end.
  bool next(std::string_view& name, std::string_view& value);

 private:
  std::string_view rest_;
};

}  // namespace websockets
