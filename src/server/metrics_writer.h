// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace websockets {

// Writes one metric after the other, in the text exposition format 0.0.4 of Prometheus. The values of labels are tokens
// (RFC 9110 5.6.2) and numbers: there is nothing in them to be escaped.
class MetricsWriter {
 public:
  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    add({"# HELP ", kPrefix, name, " ", help, "\n# TYPE ", kPrefix, name, " ", type, "\n"});
  }
  void value(std::uint64_t number) { add({kPrefix, name_, " ", std::to_string(number), "\n"}); }
  void value(std::string_view label, std::string_view of, std::uint64_t number) {
    value(label, of, std::string_view(std::to_string(number)));
  }
  // `number`: as it is to be written.
  void value(std::string_view label, std::string_view of, std::string_view number) {
    add({kPrefix, name_, "{", label, "=\"", of, "\"} ", number, "\n"});
  }
  std::string take() { return std::move(text_); }

 private:
  static constexpr std::string_view kPrefix = "lua_websockets_";

  void add(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) text_.append(part);
  }

  std::string text_;
  std::string_view name_;
};

}  // namespace websockets
