// SPDX-License-Identifier: MIT
#include "http/forwarded.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/http_text.h"

namespace websockets {
namespace {

using http_text::equals_ignoring_case;
using http_text::trimmed;

// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1".
std::string_view without_port(std::string_view node) {
  if (node.starts_with('[')) {
    const std::size_t end = node.find(']');
    return end == std::string_view::npos ? std::string_view() : node.substr(1, end - 1);
  }
  const std::size_t colon = node.find(':');
  return node.find(':', colon + 1) == std::string_view::npos ? node.substr(0, colon) : node;
}

// Walks a Forwarded header.
class Reader {
 public:
  explicit Reader(std::string_view list) : rest_(list) {}

  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }
  bool take(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // "": there is none.
  std::string_view take_token() {
    skip_blanks();
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), http_text::is_token_char);
    return take_first(static_cast<std::size_t>(end - rest_.begin()));
  }
  // nullopt: it is neither a token nor a quoted string. Nobody needs escapes for an address; they stay.
  std::optional<std::string_view> take_value() {
    if (rest_.empty() || rest_.front() != '"') {
      const std::string_view token = take_token();
      return token.empty() ? std::nullopt : std::optional(token);
    }
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '\\') {
        ++i;
      } else if (rest_[i] == '"') {
        return take_first(i + 1).substr(1, i - 1);
      }
    }
    return std::nullopt;
  }
  void skip_blanks() { rest_ = trimmed(rest_); }

 private:
  std::string_view take_first(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
};

// Takes what is behind the last comma that is in no quoted string off `list`. From behind, as a quote that the client
// left open in front of it must not hide what a proxy has added.
std::string_view take_last_element(std::string_view& list) {
  bool is_quoted = false;
  for (std::size_t i = list.size(); i-- > 0;) {
    if (list[i] == '"') {
      const std::size_t before = list.substr(0, i).find_last_not_of('\\');
      const std::size_t backslashes = i - (before == std::string_view::npos ? 0 : before + 1);
      is_quoted = !is_quoted || backslashes % 2 != 0;
    } else if (list[i] == ',' && !is_quoted) {
      const std::string_view element = list.substr(i + 1);
      list = list.substr(0, i);
      return element;
    }
  }
  return std::exchange(list, {});
}

// RFC 7239 4: [ forwarded-pair ] *( ";" [ forwarded-pair ] ). False: it is malformed.
bool read_element(Reader& reader, ForwardedHop& hop) {
  do {
    const std::string_view name = reader.take_token();
    if (name.empty()) continue;
    if (!reader.take('=')) return false;
    const std::optional<std::string_view> value = reader.take_value();
    if (!value) return false;
    if (equals_ignoring_case(name, "for")) hop.address = without_port(*value);
    if (equals_ignoring_case(name, "proto")) hop.scheme = *value;
  } while (reader.take(';'));
  return true;
}

}  // namespace

std::vector<ForwardedHop> read_forwarded(std::string_view list) {
  std::vector<ForwardedHop> hops;
  while (list.data() != nullptr) {
    Reader reader(take_last_element(list));
    ForwardedHop hop;
    if (read_element(reader, hop) && reader.at_end()) {
      hops.push_back(hop);
    } else {
      hops.push_back({{}, {}, true});
      list = {};
    }
  }
  std::reverse(hops.begin(), hops.end());
  return hops;
}

std::vector<ForwardedHop> read_x_forwarded(std::string_view addresses, std::string_view schemes) {
  const std::string_view scheme = trimmed(schemes.substr(schemes.rfind(',') + 1));
  std::vector<ForwardedHop> hops;
  while (addresses.data() != nullptr) {
    const std::string_view element = http_text::take_list_element(addresses);
    hops.push_back({without_port(element), scheme, element.empty()});
  }
  return hops;
}

}  // namespace websockets
