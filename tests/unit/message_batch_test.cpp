// SPDX-License-Identifier: MIT
#include "websocket/message_batch.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace websockets {
namespace {

using Texts = std::vector<std::string>;

// Masked with 0.
std::string frame(unsigned char first, std::string_view payload) {
  std::string text{static_cast<char>(first), static_cast<char>(0x80U | payload.size()), 0, 0, 0, 0};
  return text.append(payload);
}

class MessageBatchTest : public testing::Test {
 protected:
  void receive(const std::string& text) {
    bytes_.assign(text.begin(), text.end());
    input = bytes_;
  }
  MessageBatch::Source source(std::size_t most = 100) { return {input, rules, chunk_mode, most}; }
  static Texts take(MessageBatch& batch) {
    Texts taken;
    MessageBatch::Message message;
    while (batch.next(message)) {
      taken.push_back((message.type == MessageType::kText ? "t:" : "b:") + std::string(as_text(message.payload)));
    }
    return taken;
  }

  ReceiveRules rules;
  bool chunk_mode = false;
  std::span<std::uint8_t> input;

 private:
  std::vector<std::uint8_t> bytes_;
};

TEST_F(MessageBatchTest, GivesShortMessagesUntilAFrameOfAnotherKind) {
  receive(frame(0x81, "a") + frame(0x82, "b") + frame(0x89, "ping") + frame(0x81, "c"));
  const MessageBatch::Source from = source();
  MessageBatch batch(from);
  EXPECT_TRUE(batch.has_next());
  EXPECT_EQ(take(batch), (Texts{"t:a", "b:b"}));
  EXPECT_EQ(batch.taken(), 2U);
  EXPECT_EQ(batch.error(), ProtocolError::kNone);
  EXPECT_EQ(input.size(), 2 * 6U + 5) << "what it does not take stays";
}

TEST_F(MessageBatchTest, TakesNothingOfAFrameThatIsNotWhole) {
  receive(frame(0x81, "hello").substr(0, 10));
  const MessageBatch::Source from = source();
  EXPECT_FALSE(MessageBatch(from).has_next());
  EXPECT_EQ(input.size(), 10U);
}

TEST_F(MessageBatchTest, UnmasksAndWantsAMask) {
  std::string masked("\x81\x82\1\2\3\4", 6);
  masked += static_cast<char>('h' ^ 1);
  masked += static_cast<char>('i' ^ 2);
  receive(masked + "\x81\x02hi");
  const MessageBatch::Source from = source();
  MessageBatch batch(from);
  EXPECT_EQ(take(batch), (Texts{"t:hi"}));
  EXPECT_EQ(input.size(), 4U);
  rules.expect_masked = false;
  MessageBatch of_server(from);
  EXPECT_EQ(take(of_server), (Texts{"t:hi"}));
}

TEST_F(MessageBatchTest, GivesNoMoreThanIsAskedFor) {
  receive(frame(0x81, "a") + frame(0x81, "b") + frame(0x81, "c") + frame(0x81, "d"));
  const MessageBatch::Source from = source(3);
  MessageBatch batch(from);
  batch.limit(2);
  batch.limit(50);
  EXPECT_EQ(take(batch), (Texts{"t:a", "t:b"}));
  EXPECT_EQ(input.size(), 2 * 7U);
}

TEST_F(MessageBatchTest, EndsWhenTheSinkTurnsToChunks) {
  receive(frame(0x81, "a") + frame(0x81, "b"));
  const MessageBatch::Source from = source();
  MessageBatch batch(from);
  MessageBatch::Message message;
  EXPECT_TRUE(batch.next(message));
  chunk_mode = true;
  EXPECT_FALSE(batch.next(message));
}

TEST_F(MessageBatchTest, TextMustBeUtf8) {
  receive(frame(0x82, "\xFF") + frame(0x81, "\xFF") + frame(0x81, "a"));
  const MessageBatch::Source from = source();
  MessageBatch batch(from);
  EXPECT_EQ(take(batch), (Texts{"b:\xFF"}));
  EXPECT_EQ(batch.error(), ProtocolError::kInvalidUtf8);
  EXPECT_TRUE(input.empty());
  EXPECT_TRUE(is_invalid_utf8_text(MessageType::kText, as_bytes("\xFF"), rules));
  EXPECT_FALSE(is_invalid_utf8_text(MessageType::kBinary, as_bytes("\xFF"), rules));
  rules.check_utf8 = false;
  EXPECT_FALSE(is_invalid_utf8_text(MessageType::kText, as_bytes("\xFF"), rules));
}

TEST_F(MessageBatchTest, LeavesWhatIsTooLongToTheReader) {
  rules.max_message_bytes = 1;
  receive(frame(0x81, "ab"));
  const MessageBatch::Source from = source();
  EXPECT_FALSE(MessageBatch(from).has_next());
}

TEST_F(MessageBatchTest, MayBeOfOneMessageOnly) {
  receive("long");
  MessageBatch batch({MessageType::kBinary, input});
  EXPECT_EQ(take(batch), (Texts{"b:long"}));
}

}  // namespace
}  // namespace websockets
