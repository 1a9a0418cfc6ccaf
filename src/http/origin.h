// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets {

// Whether a pattern can be compared with an Origin header: "*", "null", "https://example.org", "http://localhost:8080",
// "https://*.example.org"; of other schemes whatever follows, as in "file://"; "=" and any text: that text, as it is.
bool is_origin_pattern(std::string_view pattern);

// Whether an Origin header (RFC 6454 7) is what the pattern says; without case. A default port that the pattern names
// is left out by browsers. "*." stands for one or more labels.
bool matches_origin(std::string_view origin, std::string_view pattern);

}  // namespace websockets
