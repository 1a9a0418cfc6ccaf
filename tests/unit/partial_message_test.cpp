// SPDX-License-Identifier: MIT
#include "websocket/partial_message.h"

#include <gtest/gtest.h>

#include <cstring>

#include "protocol_support.h"

namespace websockets {
namespace {

using namespace protocol_support;

constexpr PartialMessage::Properties kBinary = {.type = MessageType::kBinary};
constexpr PartialMessage::Properties kText = {.checks_text = true};

FrameHeader frame(std::uint64_t payload_bytes, bool fin = true, std::uint32_t mask_key = 0) {
  FrameHeader header;
  header.opcode = Opcode::kBinary;
  header.payload_bytes = payload_bytes;
  header.mask_key = mask_key;
  header.fin = fin;
  return header;
}

std::string take(PartialMessage& message, std::string_view bytes) {
  Bytes copy = to_bytes(bytes);
  std::span<std::uint8_t> input(copy);
  return to_text(message.take(input));
}

void gather(PartialMessage& message, std::string_view bytes) { message.gather(to_bytes(take(message, bytes))); }

TEST(PartialMessage, KeepsAHeaderThatIsSplit) {
  const PartialMessagePointer message = PartialMessagePool::take(nullptr);
  EXPECT_EQ(message->header_bytes(), 0U);
  EXPECT_EQ(to_text(message->extend_header(to_bytes("ab"))), "ab");
  EXPECT_EQ(message->header_bytes(), 2U);
  EXPECT_EQ(to_text(message->extend_header(to_bytes("cdefghijklmnopqrst"))), "abcdefghijklmn") << "the longest header";
  message->clear_header();
  EXPECT_EQ(message->header_bytes(), 0U);
  EXPECT_FALSE(message->has_begun());
}

TEST(PartialMessage, UnmasksHoweverItIsSplit) {
  const std::string text = "0123456789";
  const Bytes masked = make_frame({.opcode = Opcode::kText, .payload = text});
  std::uint32_t mask_key;
  std::memcpy(&mask_key, masked.data() + 2, sizeof(mask_key));
  const std::string payload = to_text(std::span(masked).subspan(6));
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      const PartialMessagePointer message = PartialMessagePool::take(nullptr);
      message->begin(kBinary);
      message->begin_frame(frame(text.size(), true, mask_key));
      gather(*message, payload.substr(0, first));
      gather(*message, payload.substr(first, second - first));
      EXPECT_EQ(message->remaining(), text.size() - second);
      EXPECT_EQ(message->is_complete(), second == text.size());
      gather(*message, payload.substr(second) + "of the next frame");
      EXPECT_EQ(to_text(message->gathered()), text);
      EXPECT_TRUE(message->is_complete());
    }
  }
}

TEST(PartialMessage, CountsItsFrames) {
  const PartialMessagePointer message = PartialMessagePool::take(nullptr);
  message->begin(kBinary);
  message->begin_frame(frame(3, false));
  EXPECT_EQ(message->position(), PartialMessage::Position::kData);
  gather(*message, "abc");
  EXPECT_EQ(message->position(), PartialMessage::Position::kHeader);
  EXPECT_FALSE(message->is_complete());
  message->begin_frame(frame(100));
  EXPECT_EQ(message->frames(), 2U);
  EXPECT_EQ(message->announced_bytes(), 103U);
  EXPECT_EQ(message->remaining(), 100U);
  EXPECT_EQ(message->gathered_bytes(), 3U);
}

TEST(PartialMessage, TakesNoMoreThanItIsTold) {
  const PartialMessagePointer message = PartialMessagePool::take(nullptr);
  message->begin(kBinary);
  message->begin_frame(frame(10));
  Bytes bytes = to_bytes("0123456789ab");
  std::span<std::uint8_t> input(bytes);
  EXPECT_EQ(message->take(input, 4).size(), 4U);
  EXPECT_EQ(message->take(input, 40).size(), 6U);
  EXPECT_EQ(to_text(input), "ab");
}

TEST(PartialMessage, ChecksTextOverItsPiecesAndFrames) {
  const auto feed = [](PartialMessage& message, std::string_view piece) {
    return message.accept_text(to_bytes(take(message, piece)));
  };
  const PartialMessagePointer good = PartialMessagePool::take(nullptr);
  good->begin(kText);
  good->begin_frame(frame(2, false));
  EXPECT_TRUE(feed(*good, "\xE2"));
  EXPECT_TRUE(feed(*good, "\x82")) << "the last frame is to come";
  good->begin_frame(frame(1));
  EXPECT_TRUE(feed(*good, "\xAC"));

  const PartialMessagePointer cut = PartialMessagePool::take(nullptr);
  cut->begin(kText);
  cut->begin_frame(frame(2));
  EXPECT_TRUE(feed(*cut, "\xE2"));
  EXPECT_FALSE(feed(*cut, "\x82")) << "it ends within a character";

  const PartialMessagePointer unchecked = PartialMessagePool::take(nullptr);
  unchecked->begin({});
  unchecked->begin_frame(frame(1));
  EXPECT_TRUE(feed(*unchecked, "\xFF"));
}

TEST(PartialMessage, HasAControlFrameBehindTheMessage) {
  const PartialMessagePointer message = PartialMessagePool::take(nullptr);
  message->begin(kBinary);
  message->begin_frame(frame(7, false));
  gather(*message, "message");
  FrameHeader ping = frame(4);
  ping.opcode = Opcode::kPing;
  message->begin_control_frame(ping);
  EXPECT_EQ(message->position(), PartialMessage::Position::kControl);
  message->append_control(to_bytes(take(*message, "pi")));
  message->append_control(to_bytes(take(*message, "ngX")));
  EXPECT_EQ(message->position(), PartialMessage::Position::kHeader);
  EXPECT_EQ(message->control_opcode(), Opcode::kPing);
  EXPECT_EQ(to_text(message->control_payload()), "ping");
  EXPECT_EQ(message->gathered_bytes(), 11U);
  message->end_control_frame();
  EXPECT_EQ(to_text(message->gathered()), "message");
}

TEST(PartialMessage, OffersDirectSpaceForLargePayloadsOnly) {
  const auto space = [](std::uint64_t payload_bytes, bool in_chunks) {
    const PartialMessagePointer message = PartialMessagePool::take(nullptr);
    message->begin({.type = MessageType::kBinary, .in_chunks = in_chunks});
    message->begin_frame(frame(payload_bytes));
    return message->direct_space().size();
  };
  EXPECT_EQ(space(PartialMessage::kTrustedBytes - 1, false), 0U);
  EXPECT_EQ(space(PartialMessage::kTrustedBytes, false), PartialMessage::kTrustedBytes);
  EXPECT_EQ(space(std::uint64_t{1} << 62U, false), PartialMessage::kTrustedBytes);
  EXPECT_EQ(space(std::uint64_t{1} << 62U, true), 0U);
}

// As a reader leaves it when the connection is lost, in the midst of everything.
void spoil(PartialMessage& message, std::size_t gathered_bytes) {
  message.begin({.type = MessageType::kText, .is_compressed = true, .in_chunks = false, .checks_text = true});
  message.begin_frame(frame(gathered_bytes + 10, true, 0x12345678));
  message.accept_text(to_bytes("\xE2"));
  gather(message, std::string(gathered_bytes, 'x'));
  message.begin_control_frame(frame(20));
  message.append_control(to_bytes(take(message, "control")));
  message.extend_header(to_bytes("header"));
  message.begin_inflating();
}

TEST(PartialMessagePool, UsesAgainWhatWasGivenBack) {
  PartialMessagePool pool;
  PartialMessagePointer message = PartialMessagePool::take(&pool);
  const PartialMessage* const place = message.get();
  spoil(*message, 1000);
  const std::uint8_t* const payload_place = message->gathered().data();
  EXPECT_EQ(pool.spare_count(), 0U);
  message.reset();
  EXPECT_EQ(pool.spare_count(), 1U);

  message = PartialMessagePool::take(&pool);
  EXPECT_EQ(message.get(), place);
  EXPECT_EQ(pool.spare_count(), 0U);
  EXPECT_EQ(message->header_bytes(), 0U);
  EXPECT_EQ(message->gathered_bytes(), 0U);
  EXPECT_FALSE(message->has_begun());
  EXPECT_EQ(message->position(), PartialMessage::Position::kHeader);
  message->begin(kText);
  EXPECT_EQ(message->announced_bytes(), 0U);
  EXPECT_EQ(message->frames(), 0U);
  EXPECT_FALSE(message->is_complete());
  message->begin_frame(frame(1));
  EXPECT_TRUE(message->accept_text(to_bytes(take(*message, "a")))) << "nothing is left of a character";
  message->gather(to_bytes("a"));
  EXPECT_EQ(message->gathered().data(), payload_place);
}

TEST(PartialMessagePool, KeepsNoBufferThatIsLarge) {
  PartialMessagePool pool;
  spoil(*PartialMessagePool::take(&pool), 10 * PartialMessage::kTrustedBytes);
  ASSERT_EQ(pool.spare_count(), 1U);
  const PartialMessagePointer message = PartialMessagePool::take(&pool);
  message->begin(kBinary);
  message->begin_frame(frame(std::uint64_t{1} << 30U));
  EXPECT_EQ(message->direct_space().size(), PartialMessage::kTrustedBytes);
}

TEST(PartialMessagePool, KeepsAFewOnly) {
  PartialMessagePool pool;
  std::vector<PartialMessagePointer> messages(2 * PartialMessagePool::kMaxSpares);
  for (PartialMessagePointer& message : messages) message = PartialMessagePool::take(&pool);
  messages.clear();
  EXPECT_EQ(pool.spare_count(), PartialMessagePool::kMaxSpares);
}

TEST(PartialMessagePool, KeepsBuffersOfFewer) {
  PartialMessagePool pool;
  std::vector<PartialMessagePointer> messages(2 * PartialMessagePool::kMaxSpareBuffers);
  for (PartialMessagePointer& message : messages) {
    message = PartialMessagePool::take(&pool);
    spoil(*message, 1000);
  }
  messages.clear();
  EXPECT_EQ(pool.spare_count(), 2 * PartialMessagePool::kMaxSpareBuffers);
  std::size_t buffers = 0;
  for (std::size_t i = 0; i < 2 * PartialMessagePool::kMaxSpareBuffers; ++i) {
    messages.push_back(PartialMessagePool::take(&pool));
    buffers += messages.back()->has_buffer() ? 1 : 0;
  }
  EXPECT_EQ(buffers, PartialMessagePool::kMaxSpareBuffers);
}

TEST(PartialMessagePool, GivesThoseWithABufferFirstAlsoAfterABurst) {
  PartialMessagePool pool;
  std::vector<PartialMessagePointer> messages(3 * PartialMessagePool::kMaxSpareBuffers);
  for (PartialMessagePointer& message : messages) {
    message = PartialMessagePool::take(&pool);
    spoil(*message, 1000);
  }
  messages.clear();
  for (int i = 0; i < 100; ++i) {
    const PartialMessagePointer message = PartialMessagePool::take(&pool);
    ASSERT_TRUE(message->has_buffer());
    spoil(*message, 1000);
  }
}

}  // namespace
}  // namespace websockets
