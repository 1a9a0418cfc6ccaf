// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

namespace websockets {

// A way in which a file may lie compressed beside itself.
struct ContentEncoding {
  std::string_view name;    // in Content-Encoding
  std::string_view suffix;  // of the file
  bool operator==(const ContentEncoding&) const = default;
};

// Which ones a client likes at least as much as the plain file, the best one first, by its Accept-Encoding
// (RFC 9110 12.5.3); "": none.
std::vector<ContentEncoding> accepted_encodings(std::string_view accept_encoding);

}  // namespace websockets
