// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "http/request.h"

namespace websockets {

// What tells one state of a file from another (RFC 9110 8.8).
struct Validators {
  std::string etag;  // strong, with its quotes
  std::time_t modified = 0;
};

// From when it was modified (seconds and nanoseconds), its size and its number in the file system.
Validators make_validators(std::time_t modified_s, long modified_ns, std::uint64_t size, std::uint64_t inode);

// What If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since of a GET or HEAD come to (RFC 9110 13.2.2).
enum class Precondition {
  kHolds,
  kNotModified,  // 304
  kFailed,       // 412
};
Precondition check_preconditions(const Request& request, const Validators& validators, std::time_t now);

// Whether a Range may be answered with a part: what If-Range (RFC 9110 13.1.5) names, if it is there, is this state.
bool range_is_current(const Request& request, const Validators& validators, std::time_t now);

}  // namespace websockets
