// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

namespace websockets {

// What a proxy has written down of who came to it, and how.
struct ForwardedHop {
  std::string_view address;   // without brackets and port; may be anything that is none, too
  std::string_view scheme;    // "": not told
  bool is_malformed = false;  // then it tells nothing
};

// The elements of a Forwarded header (RFC 7239), those of nearer proxies last. What is in front of one that is
// malformed is left out: a proxy adds to what its client has sent. The views point into `list`.
std::vector<ForwardedHop> read_forwarded(std::string_view list);
// The same of X-Forwarded-For, and of X-Forwarded-Proto, of which the last element counts, for all of them.
std::vector<ForwardedHop> read_x_forwarded(std::string_view addresses, std::string_view schemes);

}  // namespace websockets
