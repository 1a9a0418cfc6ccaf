// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

// A JSON object, on one line. Names and texts are taken as they are.
class JsonObject {
 public:
  JsonObject& add(std::string_view name, double value) {
    std::array<char, 32> text;
    std::snprintf(text.data(), text.size(), "%.9g", value);
    return add_json(name, text.data());
  }

  JsonObject& add(std::string_view name, std::string_view text) {
    return add_json(name, '"' + std::string(text) + '"');
  }

  JsonObject& add_json(std::string_view name, std::string_view json) {
    members_ += (members_.empty() ? "\"" : ", \"") + std::string(name) + "\": " + std::string(json);
    return *this;
  }

  std::string text() const { return '{' + members_ + '}'; }

 private:
  std::string members_;
};
