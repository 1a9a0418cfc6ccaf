// SPDX-License-Identifier: MIT
#include "websocket/frame.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "protocol_support.h"

namespace websockets {
namespace {

using protocol_support::Bytes;
using protocol_support::make_frame;

constexpr std::uint64_t kLongest = (std::uint64_t{1} << 63U) - 1;

Bytes encode(const FrameHeader& header) {
  std::array<std::uint8_t, kMaxFrameHeaderBytes + 2> out{};
  out.fill(0xEE);
  const std::size_t size = encode_frame_header(header, out.data());
  EXPECT_EQ(size, frame_header_bytes(header));
  EXPECT_LE(size, kMaxFrameHeaderBytes);
  EXPECT_EQ(out[size], 0xEE) << "wrote more than it says";
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

std::uint32_t key_of(const std::array<std::uint8_t, 4>& bytes) {
  std::uint32_t key = 0;
  std::memcpy(&key, bytes.data(), sizeof(key));
  return key;
}

TEST(Frame, EncodesTheExamplesOfTheRfc) {
  EXPECT_EQ(encode({.payload_bytes = 5, .opcode = Opcode::kText, .fin = true}), (Bytes{0x81, 0x05}));
  EXPECT_EQ(encode({.payload_bytes = 5,
                    .mask_key = key_of({0x37, 0xFA, 0x21, 0x3D}),
                    .opcode = Opcode::kText,
                    .fin = true,
                    .masked = true}),
            (Bytes{0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D}));
  EXPECT_EQ(encode({.payload_bytes = 3, .opcode = Opcode::kText}), (Bytes{0x01, 0x03}));
  EXPECT_EQ(encode({.payload_bytes = 2, .opcode = Opcode::kContinuation, .fin = true}), (Bytes{0x80, 0x02}));
  EXPECT_EQ(encode({.payload_bytes = 5, .opcode = Opcode::kPing, .fin = true}), (Bytes{0x89, 0x05}));
  EXPECT_EQ(encode({.payload_bytes = 256, .opcode = Opcode::kBinary, .fin = true}), (Bytes{0x82, 0x7E, 0x01, 0x00}));
  EXPECT_EQ(encode({.payload_bytes = 65536, .opcode = Opcode::kBinary, .fin = true}),
            (Bytes{0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(encode({.opcode = Opcode::kText, .fin = true, .rsv1 = true}), (Bytes{0xC1, 0x00}));
}

TEST(Frame, EncodesLengthsInTheirShortestForm) {
  const std::pair<std::uint64_t, std::size_t> sizes[] = {{0, 2},     {125, 2},    {126, 4},      {127, 4},
                                                         {65535, 4}, {65536, 10}, {kLongest, 10}};
  for (const auto& [payload_bytes, header_bytes] : sizes) {
    EXPECT_EQ(encode({.payload_bytes = payload_bytes}).size(), header_bytes) << payload_bytes;
    EXPECT_EQ(encode({.payload_bytes = payload_bytes, .masked = true}).size(), header_bytes + 4) << payload_bytes;
  }
}

// Every header that is valid, and each of its beginnings.
TEST(Frame, ReadsBackWhatItWrote) {
  constexpr Opcode kOpcodes[] = {Opcode::kContinuation, Opcode::kText, Opcode::kBinary,
                                 Opcode::kClose,        Opcode::kPing, Opcode::kPong};
  for (const Opcode opcode : kOpcodes) {
    for (const std::uint64_t length :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{125}, std::uint64_t{126}, std::uint64_t{127},
          std::uint64_t{128}, std::uint64_t{65535}, std::uint64_t{65536}, std::uint64_t{1} << 32U, kLongest}) {
      for (unsigned flags = 0; flags < 8; ++flags) {
        FrameHeader written;
        written.opcode = opcode;
        written.payload_bytes = length;
        written.fin = (flags & 1U) != 0;
        written.rsv1 = (flags & 2U) != 0;
        written.masked = (flags & 4U) != 0;
        written.mask_key = written.masked ? key_of({1, 2, 3, 4}) : 0;
        if (is_control(opcode) && (length > kMaxControlPayloadBytes || !written.fin)) {
          continue;
        }
        Bytes bytes = encode(written);
        const std::size_t size = bytes.size();
        FrameHeader read;
        ProtocolError error{};
        for (std::size_t part = 1; part < size; ++part) {
          ASSERT_EQ(parse_frame_header(std::span(bytes).first(part), read, error), HeaderStatus::kIncomplete);
        }
        bytes.resize(size + 3, 0xFF);
        ASSERT_EQ(parse_frame_header(bytes, read, error), HeaderStatus::kComplete);
        EXPECT_EQ(read.header_bytes, size);
        EXPECT_EQ(read.payload_bytes, length);
        EXPECT_EQ(read.opcode, opcode);
        EXPECT_EQ(read.fin, written.fin);
        EXPECT_EQ(read.rsv1, written.rsv1);
        EXPECT_EQ(read.masked, written.masked);
        EXPECT_EQ(read.mask_key, written.mask_key);
        EXPECT_TRUE(read.length_known);
      }
    }
  }
}

struct BadHeader {
  Bytes bytes;  // the last of them is the first that shows it
  ProtocolError error;
};

const BadHeader kBadHeaders[] = {
    {{0xA1}, ProtocolError::kReservedBits},
    {{0x91}, ProtocolError::kReservedBits},
    {{0xF1}, ProtocolError::kReservedBits},
    {{0x83}, ProtocolError::kReservedOpcode},
    {{0x87}, ProtocolError::kReservedOpcode},
    {{0x8B}, ProtocolError::kReservedOpcode},
    {{0x8F}, ProtocolError::kReservedOpcode},
    {{0x08}, ProtocolError::kControlFrameFragmented},
    {{0x09}, ProtocolError::kControlFrameFragmented},
    {{0x0A}, ProtocolError::kControlFrameFragmented},
    {{0x88, 0x7E}, ProtocolError::kControlFrameTooLong},
    {{0x89, 0xFE}, ProtocolError::kControlFrameTooLong},
    {{0x8A, 0x7F}, ProtocolError::kControlFrameTooLong},
    {{0x81, 0x7E, 0x00, 0x00}, ProtocolError::kNonMinimalLength},
    {{0x81, 0xFE, 0x00, 0x7D}, ProtocolError::kNonMinimalLength},
    {{0x82, 0x7F, 0, 0, 0, 0, 0, 0}, ProtocolError::kNonMinimalLength},
    {{0x82, 0x7F, 0x80}, ProtocolError::kLengthTopBit},
    {{0x82, 0xFF, 0xFF}, ProtocolError::kLengthTopBit},
};

TEST(Frame, RefusesEachFaultAtTheFirstByteThatShowsIt) {
  for (const BadHeader& bad : kBadHeaders) {
    FrameHeader header;
    ProtocolError error{};
    for (std::size_t size = 1; size < bad.bytes.size(); ++size) {
      EXPECT_EQ(parse_frame_header(std::span(bad.bytes).first(size), header, error), HeaderStatus::kIncomplete);
    }
    Bytes bytes = bad.bytes;
    while (bytes.size() <= kMaxFrameHeaderBytes) {
      EXPECT_EQ(parse_frame_header(bytes, header, error), HeaderStatus::kInvalid);
      EXPECT_EQ(error, bad.error) << ::testing::PrintToString(bytes);
      bytes.push_back(0xFF);
    }
  }
}

TEST(Frame, LeavesWhatItReadWhenTheHeaderIsNotComplete) {
  const Bytes bytes = make_frame({.opcode = Opcode::kBinary, .fin = false, .announced_bytes = 300});
  FrameHeader header;
  ProtocolError error{};
  header.header_bytes = 99;
  header.length_known = true;
  ASSERT_EQ(parse_frame_header(std::span(bytes).first(1), header, error), HeaderStatus::kIncomplete);
  EXPECT_EQ(header.opcode, Opcode::kBinary);
  EXPECT_FALSE(header.fin);
  EXPECT_EQ(header.header_bytes, 0);
  EXPECT_FALSE(header.length_known);
  ASSERT_EQ(parse_frame_header(std::span(bytes).first(2), header, error), HeaderStatus::kIncomplete);
  EXPECT_TRUE(header.masked);
  EXPECT_EQ(header.header_bytes, 8);
  EXPECT_FALSE(header.length_known);
  ASSERT_EQ(parse_frame_header(std::span(bytes).first(4), header, error), HeaderStatus::kIncomplete);
  EXPECT_TRUE(header.length_known);
  EXPECT_EQ(header.payload_bytes, 300U);
}

TEST(Frame, KnowsWhichOpcodesAreControl) {
  EXPECT_FALSE(is_control(Opcode::kContinuation));
  EXPECT_FALSE(is_control(Opcode::kText));
  EXPECT_FALSE(is_control(Opcode::kBinary));
  EXPECT_TRUE(is_control(Opcode::kClose));
  EXPECT_TRUE(is_control(Opcode::kPing));
  EXPECT_TRUE(is_control(Opcode::kPong));
}

}  // namespace
}  // namespace websockets
