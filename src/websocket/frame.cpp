// SPDX-License-Identifier: MIT
#include "websocket/frame.h"

#include <cstring>

namespace websockets {

namespace {

constexpr std::uint8_t kFinBit = 0x80;
constexpr std::uint8_t kRsv1Bit = 0x40;
constexpr std::uint8_t kRsv23Bits = 0x30;
constexpr std::uint8_t kOpcodeBits = 0x0F;
constexpr std::uint8_t kMaskBit = 0x80;
constexpr std::uint8_t kLengthBits = 0x7F;
constexpr std::uint8_t kLength16 = 126;
constexpr std::uint8_t kLength64 = 127;

std::uint64_t read_big_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) {
    value = (value << 8U) | byte;
  }
  return value;
}

void write_big_endian(std::uint64_t value, std::span<std::uint8_t> bytes) {
  for (std::size_t index = bytes.size(); index-- > 0; value >>= 8U) {
    bytes[index] = static_cast<std::uint8_t>(value);
  }
}

ProtocolError parse_first_byte(std::uint8_t byte, FrameHeader& header) {
  header.fin = (byte & kFinBit) != 0;
  header.rsv1 = (byte & kRsv1Bit) != 0;
  header.opcode = static_cast<Opcode>(byte & kOpcodeBits);
  header.header_bytes = 0;
  header.length_known = false;
  if ((byte & kRsv23Bits) != 0) {
    return ProtocolError::kReservedBits;
  }
  if ((byte & 0x07U) > 2) {
    return ProtocolError::kReservedOpcode;  // 0x3 to 0x7 and 0xB to 0xF
  }
  if (is_control(header.opcode) && !header.fin) {
    return ProtocolError::kControlFrameFragmented;
  }
  return ProtocolError::kNone;
}

ProtocolError parse_second_byte(std::uint8_t byte, FrameHeader& header) {
  const std::uint8_t length = byte & kLengthBits;
  header.masked = (byte & kMaskBit) != 0;
  header.header_bytes = header.masked ? 6 : 2;
  if (length <= kMaxControlPayloadBytes) {
    header.payload_bytes = length;
    header.length_known = true;
    return ProtocolError::kNone;
  }
  header.header_bytes = static_cast<std::uint8_t>(header.header_bytes + (length == kLength16 ? 2 : 8));
  return is_control(header.opcode) ? ProtocolError::kControlFrameTooLong : ProtocolError::kNone;
}

// RFC 6455 5.2: the minimal number of bytes must be used, and the top bit of 64 must be 0.
// `field` holds what is there of the 2 or 8 bytes behind the first two.
ProtocolError parse_extended_length(std::span<const std::uint8_t> field, std::size_t field_bytes, FrameHeader& header) {
  if (field_bytes == 8) {
    if (!field.empty() && field[0] >= 0x80) {
      return ProtocolError::kLengthTopBit;
    }
    if (field.size() >= 6 && read_big_endian(field.first(6)) == 0) {
      return ProtocolError::kNonMinimalLength;
    }
  }
  if (field.size() < field_bytes) {
    return ProtocolError::kNone;
  }
  header.payload_bytes = read_big_endian(field.first(field_bytes));
  if (header.payload_bytes < kLength16) {
    return ProtocolError::kNonMinimalLength;
  }
  header.length_known = true;
  return ProtocolError::kNone;
}

ProtocolError parse_length(std::span<const std::uint8_t> bytes, FrameHeader& header) {
  const ProtocolError error = parse_second_byte(bytes[1], header);
  if (error != ProtocolError::kNone || header.length_known) {
    return error;
  }
  return parse_extended_length(bytes.subspan(2), (bytes[1] & kLengthBits) == kLength16 ? 2 : 8, header);
}

}  // namespace

HeaderStatus parse_frame_header(std::span<const std::uint8_t> bytes, FrameHeader& header, ProtocolError& error) {
  error = parse_first_byte(bytes[0], header);
  if (error == ProtocolError::kNone && bytes.size() >= 2) {
    error = parse_length(bytes, header);
  }
  if (error != ProtocolError::kNone) {
    return HeaderStatus::kInvalid;
  }
  if (header.header_bytes == 0 || bytes.size() < header.header_bytes) {
    return HeaderStatus::kIncomplete;
  }
  header.mask_key = 0;
  if (header.masked) {
    std::memcpy(&header.mask_key, bytes.data() + header.header_bytes - 4, 4);
  }
  return HeaderStatus::kComplete;
}

std::size_t encode_frame_header(const FrameHeader& header, std::uint8_t* out) {
  const std::uint8_t mask_bit = header.masked ? kMaskBit : 0;
  out[0] = static_cast<std::uint8_t>((header.fin ? kFinBit : 0U) | (header.rsv1 ? kRsv1Bit : 0U) |
                                     static_cast<unsigned>(header.opcode));
  std::size_t size = 2;
  if (header.payload_bytes < kLength16) {
    out[1] = static_cast<std::uint8_t>(mask_bit | header.payload_bytes);
  } else if (header.payload_bytes <= 0xFFFF) {
    out[1] = mask_bit | kLength16;
    write_big_endian(header.payload_bytes, {out + 2, 2});
    size += 2;
  } else {
    out[1] = mask_bit | kLength64;
    write_big_endian(header.payload_bytes, {out + 2, 8});
    size += 8;
  }
  if (header.masked) {
    std::memcpy(out + size, &header.mask_key, 4);
    size += 4;
  }
  return size;
}

}  // namespace websockets
