// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace websockets {

// The path and the query string of a request's target (RFC 9112 3.2), as they came; of the absolute form, too. What has
// no path ("*") is one.
struct TargetParts {
  std::string_view path;
  std::string_view query;  // without the "?"
};
TargetParts split_target(std::string_view target);

// RFC 3986 3.2.2 and 3.2.3: a host, perhaps empty, and perhaps a port. No comma, though allowed there: it is how two
// hosts look after a proxy has joined them.
bool is_host(std::string_view text);

// Whether a request of this method can have this target (RFC 9112 3.2): a path; an http or https URI whose authority is
// a host; "*" for OPTIONS. None has a fragment. Which characters there are in a path does not matter.
bool is_target(std::string_view method, std::string_view target);

// The host, and perhaps port, of an absolute target (RFC 9112 3.2.2); empty for others.
std::string_view target_authority(std::string_view target);

// RFC 3986 2.1. A "%" without two hexadecimal digits behind it stays. `plus_is_space`: as forms write it.
std::string percent_decode(std::string_view text, bool plus_is_space);

// Walks the fields of a query string ("a=1&b=x+y"), decoded. One without "=" has an empty value; empty ones are left
// out.
class QueryFields {
 public:
  explicit QueryFields(std::string_view query) : rest_(query) {}
  // False at the end.
  bool next(std::string& name, std::string& value);

 private:
  std::string_view rest_;
};

}  // namespace websockets
