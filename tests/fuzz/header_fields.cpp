// SPDX-License-Identifier: MIT
// What is read from a request's target and from headers that strangers write, and what a script puts into an answer.
// Each line of the input is one of them.
#include "base/http_text.h"
#include "files/content_types.h"
#include "files/preconditions.h"
#include "fuzz_support.h"
#include "http/cookies.h"
#include "http/forwarded.h"
#include "http/origin.h"
#include "http/request_parser.h"
#include "http/response.h"
#include "http/url.h"

using namespace websockets;

namespace {

bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// "*." stands for labels of a host, never for anything that makes it another host.
void check_origin(std::string_view pattern, std::string_view origin) {
  EXPECT_TRUE(matches_origin(origin, "*"));
  if (!is_origin_pattern(pattern) || pattern == "*" || !matches_origin(origin, pattern)) return;
  if (pattern.starts_with('=')) {
    EXPECT_EQ(origin, pattern.substr(1));
    return;
  }
  const std::string_view scheme = pattern.substr(0, pattern.find("://"));
  EXPECT_TRUE(http_text::equals_ignoring_case(origin.substr(0, scheme.size()), scheme));
  const bool has_host = pattern.find("://*.") != std::string_view::npos ||
                        http_text::equals_ignoring_case(scheme, "https") ||
                        http_text::equals_ignoring_case(scheme, "http");
  if (!has_host) return;
  const std::string_view host = origin.substr(scheme.size() + 3);
  EXPECT_FALSE(host.empty());
  EXPECT_EQ(host.find_first_of("/?#@ ,"), std::string_view::npos) << host;
}

using Hops = std::vector<ForwardedHop>;

bool are_same(const Hops& hops, const Hops& others) {
  return std::equal(hops.begin(), hops.end(), others.begin(), others.end(), [](const auto& hop, const auto& other) {
    return hop.address == other.address && hop.scheme == other.scheme && hop.is_malformed == other.is_malformed;
  });
}

// What a further proxy appends is read the same, whatever stands in front of it, which is read as if it stood alone.
void check_forwarded(std::string_view first, std::string_view second) {
  Hops hops = read_forwarded(first);
  for (const ForwardedHop& hop : hops) {
    EXPECT_TRUE(hop.is_malformed || (is_within(hop.address, first) && is_within(hop.scheme, first)));
  }
  const Hops further = read_forwarded(second);
  if (std::any_of(further.begin(), further.end(), [](const auto& hop) { return hop.is_malformed; })) return;
  const std::string both = std::string(first).append(",").append(second);
  hops.insert(hops.end(), further.begin(), further.end());
  EXPECT_TRUE(are_same(read_forwarded(both), hops));
}

void check_x_forwarded(std::string_view addresses, std::string_view schemes) {
  const Hops hops = read_x_forwarded(addresses, schemes);
  for (const ForwardedHop& hop : hops) {
    EXPECT_TRUE(is_within(hop.address, addresses) && is_within(hop.scheme, schemes));
    EXPECT_EQ(hop.address.find(','), std::string_view::npos);
    EXPECT_EQ(hop.scheme.find(','), std::string_view::npos);
  }
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    encoded.append("%").append(1, kDigits[byte / 16]).append(1, kDigits[byte % 16]);
  }
  return encoded;
}

void check_target(std::string_view target) {
  const TargetParts parts = split_target(target);
  const std::string_view authority = target_authority(target);
  EXPECT_TRUE(is_within(authority, target));
  EXPECT_EQ(authority.find_first_of("/?"), std::string_view::npos);
  if (is_target("GET", target)) EXPECT_TRUE(target.starts_with('/') || is_host(authority));
  EXPECT_FALSE(parts.path.empty());
  EXPECT_EQ(parts.path.find('?'), std::string_view::npos);
  EXPECT_TRUE(target.ends_with(parts.query));
  EXPECT_EQ(percent_decode(percent_encode(target), true), target);
  QueryFields fields(parts.query);
  std::string name;
  std::string value;
  while (fields.next(name, value)) {
    const std::string again = percent_encode(name).append("=").append(percent_encode(value));
    QueryFields one(again);
    std::string same_name;
    std::string same_value;
    ASSERT_TRUE(one.next(same_name, same_value));
    EXPECT_EQ(same_name, name);
    EXPECT_EQ(same_value, value);
  }
}

void check_cookies(std::string_view header) {
  Cookies cookies(header);
  std::string_view name;
  std::string_view value;
  while (cookies.next(name, value)) {
    EXPECT_FALSE(name.empty());
    EXPECT_EQ(name.find_first_of("=;"), std::string_view::npos);
    EXPECT_EQ(value.find(';'), std::string_view::npos);
  }
}

// A header that may be sent is one line of the head.
void check_response(std::string_view name, std::string_view value, int status) {
  if (!is_valid_header(name, value)) return;
  ResponseHead head{.status = status, .keep_alive = status % 2 == 0, .http_1_0 = status % 3 == 0};
  const std::string without = serialize_head(head, status);
  head.headers.emplace_back(name, value);
  const std::string with = serialize_head(head, status);
  EXPECT_EQ(std::count(with.begin(), with.end(), '\n'), std::count(without.begin(), without.end(), '\n') + 1);
  EXPECT_EQ(with.find("\r\n\r\n"), with.size() - 4);
}

// What the server has said of a file is understood when it comes back, and nothing else is taken for it.
void check_conditions(std::string_view name, std::string_view value, std::time_t modified) {
  const Validators validators = make_validators(modified, 5, 100, 7);
  const std::time_t now = modified + 100;
  const auto check = [&](std::string_view header, std::string_view text) {
    const std::string head =
        std::string("GET / HTTP/1.1\r\nHost: x\r\n").append(header).append(": ").append(text) + "\r\n\r\n";
    RequestParser parser(RequestLimits{});
    std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(head.data()), head.size());
    if (parser.consume(input) != RequestParser::Status::kHead) return Precondition::kHolds;
    range_is_current(parser.request(), validators, now);
    return check_preconditions(parser.request(), validators, now);
  };
  check(name, value);
  EXPECT_EQ(check("If-None-Match", validators.etag), Precondition::kNotModified);
  EXPECT_EQ(check("If-Match", validators.etag), Precondition::kHolds);
  EXPECT_EQ(check("If-Modified-Since", http_date(modified)), Precondition::kNotModified);
  EXPECT_EQ(check("If-Modified-Since", http_date(modified - 1)), Precondition::kHolds);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto number = static_cast<int>(input.below(1000));
  const std::string_view pattern = input.line();
  check_origin(pattern, input.line());
  const std::string_view forwarded = input.line();
  check_forwarded(forwarded, input.line());
  const std::string_view addresses = input.line();
  check_x_forwarded(addresses, input.line());
  check_target(input.line());
  check_cookies(input.line());
  const std::string_view name = input.line();
  const std::string_view value = input.line();
  check_response(name, value, number);
  check_conditions(name, value, 784111777 + number);
  EXPECT_EQ(content_type_of(suffix_of(value)).find('\n'), std::string_view::npos);
  return 0;
}
