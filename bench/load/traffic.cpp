// SPDX-License-Identifier: MIT
#include "traffic.h"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

namespace {

constexpr unsigned char kText = 1, kBinary = 2, kPing = 9, kPong = 10, kFin = 0x80;

class Builder {
 public:
  void add_message(unsigned char type, std::size_t bytes, std::size_t fragments = 1) {
    const std::string payload = type == kText ? text(bytes) : binary(bytes);
    input_ += make_frame(type | kFin, payload, false);
    const std::size_t piece = (bytes + fragments - 1) / fragments;
    for (std::size_t i = 0; i < fragments; ++i) {
      const unsigned char fin = i + 1 == fragments ? kFin : 0;
      const unsigned char opcode = i == 0 ? type : 0;
      output_ += make_frame(opcode | fin, std::string_view(payload).substr(std::min(i * piece, bytes), piece), true);
    }
    ++messages_;
  }

  void add_ping() {
    const std::string payload = binary(random_() % 126);
    output_ += make_frame(kPing | kFin, payload, true);
    input_ += make_frame(kPong | kFin, payload, false);
    ++pings_;
  }

  std::size_t random_below(std::size_t end) { return random_() % end; }

  Traffic build(std::size_t outstanding, std::size_t most) const {
    return {Frames(output_, input_), messages_, pings_, outstanding, most};
  }

 private:
  // Fragments end within characters, too.
  static std::string text(std::size_t bytes) {
    constexpr std::string_view kCharacters = "Zwölf große Boxkämpfer: 十二人 🥊 ";
    std::string result;
    while (result.size() + kCharacters.size() <= bytes) result += kCharacters;
    return result.append(bytes - result.size(), '.');
  }

  std::string binary(std::size_t bytes) {
    std::string result(bytes, ' ');
    for (char& byte : result) byte = static_cast<char>(random_());
    return result;
  }

  std::mt19937 random_{1};
  std::string output_;
  std::string input_;
  std::size_t messages_ = 0;
  std::size_t pings_ = 0;
};

Traffic small_messages() {
  Builder builder;
  for (std::size_t i = 0; i < 40; ++i) {
    builder.add_message(i % 2 == 0 ? kText : kBinary, builder.random_below(300));
    if (i % 8 == 0) builder.add_ping();
  }
  return builder.build(4, 40);
}

Traffic middle_messages() {
  Builder builder;
  for (std::size_t i = 0; i < 10; ++i) {
    builder.add_message(i % 2 == 0 ? kText : kBinary, 500 + builder.random_below(20'000), 1 + (i % 4));
  }
  builder.add_ping();
  return builder.build(2, 10);
}

Traffic large_messages() {
  Builder builder;
  builder.add_message(kBinary, 1U << 20U);
  builder.add_message(kText, 1U << 18U, 100);
  builder.add_message(kText, 65'535);
  builder.add_message(kBinary, 65'536, 3);
  builder.add_message(kBinary, 1U << 20U, 7);
  builder.add_message(kBinary, 0, 2);
  return builder.build(1, 2);
}

}  // namespace

std::vector<Traffic> make_traffic() { return {small_messages(), middle_messages(), large_messages()}; }
