// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "websocket/protocol_error.h"

namespace websockets {

// RFC 6455 5.2.
enum class Opcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA,
};

constexpr bool is_control(Opcode opcode) { return (static_cast<unsigned>(opcode) & 0x8U) != 0; }

constexpr std::size_t kMaxFrameHeaderBytes = 14;
constexpr std::size_t kMaxControlPayloadBytes = 125;  // RFC 6455 5.5

struct FrameHeader {
  std::uint64_t payload_bytes = 0;
  std::uint32_t mask_key = 0;  // the four bytes as they stand in memory; 0 when not masked
  Opcode opcode = Opcode::kContinuation;
  std::uint8_t header_bytes = 0;  // how long the header itself is on the wire
  bool fin = false;
  bool rsv1 = false;
  bool masked = false;
  bool length_known = false;  // set by parse_frame_header() once payload_bytes is read
};

enum class HeaderStatus : std::uint8_t { kIncomplete, kComplete, kInvalid };

// Reads one frame header from the front of `bytes` (which may hold more than the header). Checks every
// rule that needs no knowledge of earlier frames: RSV2/RSV3, opcodes, control frames, minimal lengths;
// each at the first byte that shows the violation, even if the header is not complete yet.
// RSV1 is only reported: whether it is allowed depends on what was negotiated.
// kInvalid: `error` says why. kIncomplete: call again with the same bytes and more behind them.
// In both cases `header` holds what was read up to there: the fields of the first byte, then (header_bytes is not 0
// any more) `masked` and `header_bytes`, then (`length_known`) payload_bytes. Other fields are unspecified.
// `bytes` must not be empty.
HeaderStatus parse_frame_header(std::span<const std::uint8_t> bytes, FrameHeader& header, ProtocolError& error);

// How many bytes encode_frame_header() writes.
constexpr std::size_t frame_header_bytes(const FrameHeader& header) {
  constexpr std::uint64_t kLongest7 = 125;
  constexpr std::uint64_t kLongest16 = 0xFFFF;
  const std::size_t length_bytes = header.payload_bytes <= kLongest7 ? 0 : header.payload_bytes <= kLongest16 ? 2 : 8;
  return 2 + length_bytes + (header.masked ? 4 : 0);
}

// Writes the header of a frame, minimal length encoding, to `out`, which has room for it: kMaxFrameHeaderBytes at most.
// A header with `masked` set carries `mask_key`. header_bytes and length_known are ignored. Returns the bytes written.
std::size_t encode_frame_header(const FrameHeader& header, std::uint8_t* out);

}  // namespace websockets
