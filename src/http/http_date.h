// SPDX-License-Identifier: MIT
#pragma once

#include <ctime>
#include <optional>
#include <string_view>

namespace websockets {

// Reads a date in any of the three formats of RFC 9110 5.6.7; nothing when it is none. `now`: the format with a year of
// two digits means the one that is not more than 50 years ahead.
std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now);

}  // namespace websockets
