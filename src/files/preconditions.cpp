// SPDX-License-Identifier: MIT
#include "files/preconditions.h"

#include <array>
#include <charconv>
#include <optional>

#include "base/http_text.h"
#include "http/http_date.h"

namespace websockets {
namespace {

void append_hex(std::string& out, std::uint64_t number) {
  std::array<char, 16> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr);
}

// Whether the list of entity tags names `etag`, or is "*". `weakly`: W/"x" and "x" are the same (RFC 9110 8.8.3.2).
// What stands behind something malformed does not count.
bool names_etag(std::string_view list, std::string_view etag, bool weakly) {
  list = http_text::trimmed(list);
  if (list == "*") return true;
  while (!list.empty()) {
    const bool is_weak = list.starts_with("W/");
    if (is_weak) list.remove_prefix(2);
    const std::size_t end = list.starts_with('"') ? list.find('"', 1) : std::string_view::npos;
    if (end == std::string_view::npos) return false;
    if (list.substr(0, end + 1) == etag && (weakly || !is_weak)) return true;
    list.remove_prefix(end + 1);
    while (!list.empty() && (list.front() == ',' || http_text::is_blank(list.front()))) list.remove_prefix(1);
  }
  return false;
}

std::optional<std::time_t> date_of(const Request& request, std::string_view name, std::time_t now) {
  return parse_http_date(request.header(name), now);
}

}  // namespace

Validators make_validators(std::time_t modified_s, long modified_ns, std::uint64_t size, std::uint64_t inode) {
  Validators result;
  result.modified = modified_s;
  result.etag += '"';
  append_hex(result.etag,
             static_cast<std::uint64_t>(modified_s) * 1'000'000'000U + static_cast<std::uint64_t>(modified_ns));
  result.etag += '-';
  append_hex(result.etag, size);
  result.etag += '-';
  append_hex(result.etag, inode);
  result.etag += '"';
  return result;
}

Precondition check_preconditions(const Request& request, const Validators& validators, std::time_t now) {
  if (request.count("If-Match") > 0) {
    if (!names_etag(request.joined("If-Match"), validators.etag, false)) return Precondition::kFailed;
  } else if (const auto date = date_of(request, "If-Unmodified-Since", now); date && validators.modified > *date) {
    return Precondition::kFailed;
  }
  if (request.count("If-None-Match") > 0) {
    const bool is_named = names_etag(request.joined("If-None-Match"), validators.etag, true);
    return is_named ? Precondition::kNotModified : Precondition::kHolds;
  }
  const auto date = date_of(request, "If-Modified-Since", now);
  return date && validators.modified <= *date ? Precondition::kNotModified : Precondition::kHolds;
}

bool range_is_current(const Request& request, const Validators& validators, std::time_t now) {
  if (request.count("If-Range") == 0) return true;
  const std::string_view value = request.header("If-Range");
  if (value.starts_with('"')) return value == validators.etag;
  // RFC 9110 8.8.2.2: within one second there may have been two states.
  const auto date = parse_http_date(value, now);
  return date && *date == validators.modified && validators.modified < now;
}

}  // namespace websockets
