// SPDX-License-Identifier: MIT
#include "files/content_encodings.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "base/http_text.h"

namespace websockets {
namespace {

// In the order of how well they compress.
constexpr std::array<ContentEncoding, 2> kEncodings = {{{"br", ".br"}, {"gzip", ".gz"}}};

// "q=0.5" in thousandths (RFC 9110 12.4.2); without it 1000. Nothing: malformed.
std::optional<int> parse_weight(std::string_view parameters) {
  parameters = http_text::trimmed(parameters);
  if (parameters.empty()) return 1000;
  if (parameters.size() < 3 || parameters.size() > 7 || http_text::to_lower(parameters[0]) != 'q' ||
      parameters[1] != '=') {
    return {};
  }
  const std::string_view number = parameters.substr(2);
  if (number.size() > 1 && number[1] != '.') return {};
  int thousandths = 0;
  int unit = 1000;
  for (std::size_t i = 0; i < number.size(); ++i) {
    if (i == 1) continue;  // the dot
    if (!http_text::is_digit(number[i])) return {};
    thousandths += (number[i] - '0') * unit;
    unit /= 10;
  }
  return thousandths <= 1000 ? std::optional(thousandths) : std::nullopt;
}

}  // namespace

std::vector<ContentEncoding> accepted_encodings(std::string_view accept_encoding) {
  std::array<std::optional<int>, kEncodings.size()> weights;
  std::optional<int> of_others;
  int of_plain = 0;
  while (accept_encoding.data() != nullptr) {
    const std::string_view element = http_text::take_list_element(accept_encoding);
    const std::size_t semicolon = std::min(element.find(';'), element.size());
    std::string_view name = http_text::trimmed(element.substr(0, semicolon));
    const auto weight = parse_weight(element.substr(std::min(semicolon + 1, element.size())));
    if (!weight) continue;
    if (http_text::equals_ignoring_case(name, "x-gzip")) name = "gzip";  // RFC 9110 8.4.1.3
    if (name == "*") of_others = weight;
    if (http_text::equals_ignoring_case(name, "identity")) of_plain = *weight;
    for (std::size_t i = 0; i < kEncodings.size(); ++i) {
      if (http_text::equals_ignoring_case(name, kEncodings[i].name)) weights[i] = weight;
    }
  }

  const auto weight_of = [&](std::size_t i) { return weights[i].value_or(of_others.value_or(0)); };
  std::vector<ContentEncoding> accepted;
  for (std::size_t i = 0; i < kEncodings.size(); ++i) {
    if (weight_of(i) > 0 && weight_of(i) >= of_plain) accepted.push_back(kEncodings[i]);
  }
  if (accepted.size() == 2 && weight_of(1) > weight_of(0)) std::swap(accepted[0], accepted[1]);
  return accepted;
}

}  // namespace websockets
