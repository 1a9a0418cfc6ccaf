// SPDX-License-Identifier: MIT
#include "http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>
#include <optional>
#include <string>

#include "http/head_rules.h"
#include "http/line_gatherer.h"
#include "http/text.h"

namespace websockets {
namespace {

namespace beast = boost::beast;
using beast::http::error;
using beast::http::field;
using Bytes = std::span<const std::uint8_t>;

// RFC 9112 2.2 asks for at least one to be ignored: old clients end a body with CR LF.
constexpr std::size_t kMaxEmptyLines = 8;
// Allocated at the first bytes of a head: a browser's fits, and one who sends little pins little.
constexpr std::size_t kFirstHeadBytes = 1024;
// A larger body's memory is given back before the next request.
constexpr std::size_t kMaxKeptBodyBytes = 4096;

std::string_view to_std(beast::string_view text) { return {text.data(), text.size()}; }

// What Beast says of HTTP/2.0 and of "GET / x" is the same code; the first is a version, the second is nonsense.
bool ends_with_version(std::string_view request_line) {
  const std::string_view version = request_line.substr(request_line.find_last_of(' ') + 1);
  return version.size() == 10 && version.starts_with("HTTP/") && http_text::is_digit(version[5]) && version[6] == '.' &&
         http_text::is_digit(version[7]) && !version.starts_with("HTTP/1.0") && !version.starts_with("HTTP/1.1");
}

Refusal refusal_of_head(error code, std::string_view request_line) {
  switch (code) {
    case error::header_limit:
      return {431, "The head of the request is too long."};
    case error::body_limit:
      return {413, "The content is too long."};
    case error::bad_version:
      if (ends_with_version(request_line)) return {505, "Only HTTP/1.0 and HTTP/1.1 are supported."};
      return {400, "The request line is malformed."};
    case error::bad_method:
      return {400, "The request method is malformed."};
    case error::bad_target:
      return {400, "The request target is malformed."};
    case error::bad_field:
      return {400, "The name of a header is malformed."};
    case error::bad_value:
      return {400, "The value of a header is malformed."};
    case error::bad_line_ending:
      return {400, "A line does not end with CR LF."};
    case error::bad_transfer_encoding:
      return {400, "The Transfer-Encoding header came more than once or with a Content-Length."};
    default:  // the two codes for it differ between versions of Boost
      return {400, "The Content-Length header is malformed, or came more than once or with a Transfer-Encoding."};
  }
}

Refusal refusal_of_body(error code) {
  if (code == error::body_limit) return {413, "The content is too long."};
  return {400, "The chunked content is malformed."};
}

Refusal refusal_of_line(LineGatherer::Result result) {
  if (result == LineGatherer::Result::kFoldedLine) return {400, "A header is folded over several lines."};
  return {400, "A line ends with LF only."};
}

}  // namespace

struct RequestParser::Impl final : beast::http::basic_parser<true> {
  enum class Phase { kEmptyLines, kHead, kBody, kComplete, kError };

  Status refuse(const Refusal& why);
  Status skip_empty_lines(Bytes& input);
  bool check_method(Bytes input);
};

}  // namespace websockets
