// SPDX-License-Identifier: MIT
// What the tests of src/websocket share: frames written out by hand, a reader of frames that is slow and plain,
// and a way to feed a reader in every kind of pieces. None of it uses the code under test where that can be helped.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "websocket/message_reader.h"

namespace websockets::protocol_support {

using Bytes = std::vector<std::uint8_t>;

inline Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

inline std::string to_text(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

inline Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// One character at a time, by its definition in RFC 3629 3; nothing for surrogates and what is above U+10FFFF.
inline std::string encode_character(std::uint32_t code) {
  const auto tail = [code](unsigned shift) { return static_cast<char>(0x80U | ((code >> shift) & 0x3FU)); };
  if (code < 0x80) {
    return {static_cast<char>(code)};
  }
  if (code < 0x800) {
    return {static_cast<char>(0xC0U | (code >> 6U)), tail(0)};
  }
  if (code >= 0xD800 && code <= 0xDFFF) {
    return {};
  }
  if (code < 0x10000) {
    return {static_cast<char>(0xE0U | (code >> 12U)), tail(6), tail(0)};
  }
  return code > 0x10FFFF ? "" : std::string{static_cast<char>(0xF0U | (code >> 18U)), tail(12), tail(6), tail(0)};
}

enum class TextState : std::uint8_t { kInvalid, kInsideCharacter, kWhole };

// The plain way: decode, then see whether encoding gives the same bytes. What is cut off at the end
// is the start of something valid if some way to go on is.
inline TextState naive_text_state(std::string_view text) {
  while (!text.empty()) {
    const auto lead = static_cast<std::uint8_t>(text[0]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (text.size() < length) {
      for (const char next : {'\x80', '\x8F', '\x90', '\x9F', '\xA0', '\xBF'}) {
        if (naive_text_state(std::string(text) + next) != TextState::kInvalid) {
          return TextState::kInsideCharacter;
        }
      }
      return TextState::kInvalid;
    }
    std::uint32_t code = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t index = 1; index < length; ++index) {
      code = (code << 6U) | (static_cast<std::uint8_t>(text[index]) & 0x3FU);
    }
    if (encode_character(code) != text.substr(0, length)) {
      return TextState::kInvalid;
    }
    text.remove_prefix(length);
  }
  return TextState::kWhole;
}

struct FrameSpec {
  Opcode opcode = Opcode::kText;
  std::string payload{};
  bool fin = true;
  bool masked = true;
  unsigned rsv_bits = 0;                           // 0x40, 0x20, 0x10
  std::size_t length_bytes = 0;                    // 1, 3 or 9; 0: the shortest that fits
  std::optional<std::uint64_t> announced_bytes{};  // when it is not the payload's size
};

inline Bytes make_frame(const FrameSpec& spec) {
  const std::uint64_t length = spec.announced_bytes.value_or(spec.payload.size());
  const std::size_t shortest = length < 126 ? 1 : length < 65536 ? 3 : 9;
  const std::size_t length_bytes = spec.length_bytes != 0 ? spec.length_bytes : shortest;
  const unsigned first = (spec.fin ? 0x80U : 0U) | spec.rsv_bits | static_cast<unsigned>(spec.opcode);
  const unsigned length_field = length_bytes == 1 ? static_cast<unsigned>(length) : length_bytes == 3 ? 126U : 127U;
  Bytes frame;
  frame.reserve(kMaxFrameHeaderBytes + spec.payload.size());
  frame.push_back(static_cast<std::uint8_t>(first));
  frame.push_back(static_cast<std::uint8_t>((spec.masked ? 0x80U : 0U) | length_field));
  for (std::size_t left = length_bytes - 1; left > 0; --left) {
    frame.push_back(static_cast<std::uint8_t>(length >> (8 * (left - 1))));
  }
  constexpr std::uint8_t kKey[] = {0x37, 0xFA, 0x21, 0x3D};
  for (const std::uint8_t byte : kKey) {
    if (spec.masked) {
      frame.push_back(byte);
    }
  }
  for (std::size_t index = 0; index < spec.payload.size(); ++index) {
    const auto byte = static_cast<std::uint8_t>(spec.payload[index]);
    frame.push_back(spec.masked ? byte ^ kKey[index % 4] : byte);
  }
  return frame;
}

inline Bytes text_frame(std::string payload, bool fin = true) {
  return make_frame({.opcode = Opcode::kText, .payload = std::move(payload), .fin = fin});
}
inline Bytes binary_frame(std::string payload, bool fin = true) {
  return make_frame({.opcode = Opcode::kBinary, .payload = std::move(payload), .fin = fin});
}
inline Bytes continuation_frame(std::string payload, bool fin) {
  return make_frame({.opcode = Opcode::kContinuation, .payload = std::move(payload), .fin = fin});
}
inline Bytes ping_frame(std::string payload) {
  return make_frame({.opcode = Opcode::kPing, .payload = std::move(payload)});
}
inline Bytes pong_frame(std::string payload) {
  return make_frame({.opcode = Opcode::kPong, .payload = std::move(payload)});
}
inline std::string close_body(unsigned code, std::string_view reason = "") {
  return std::string{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)}.append(reason);
}
inline Bytes close_frame(std::string body) {
  return make_frame({.opcode = Opcode::kClose, .payload = std::move(body)});
}

// What came of some input: each event is "text:…", "binary:…", "ping:…", "pong:…" or "close CODE:…".
struct Outcome {
  std::vector<std::string> events;
  ProtocolError error = ProtocolError::kNone;
  bool operator==(const Outcome&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << "error " << static_cast<int>(outcome.error) << ", " << outcome.events.size() << " events";
  for (const std::string& event : outcome.events) {
    out << "; " << event.substr(0, 40) << (event.size() > 40 ? "…" : "");
  }
  return out;
}

}  // namespace websockets::protocol_support
