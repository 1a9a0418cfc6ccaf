// SPDX-License-Identifier: MIT
#include "websocket/frame_writer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "session_fixture.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

using namespace session_support;

class FrameWriterTest : public ::testing::Test {
 protected:
  ~FrameWriterTest() override { queue_.clear(pool_); }

  Bytes take() {
    Bytes all;
    std::array<iovec, 1> parts;
    while (queue_.gather(parts, 1U << 20U) > 0) {
      const auto* const data = static_cast<const std::uint8_t*>(parts[0].iov_base);
      all.insert(all.end(), data, data + parts[0].iov_len);
      queue_.consume(pool_, parts[0].iov_len);
    }
    return all;
  }
  static FrameHeader header(Opcode opcode, std::size_t payload_bytes, bool fin = true) {
    FrameHeader header;
    header.payload_bytes = payload_bytes;
    header.opcode = opcode;
    header.fin = fin;
    return header;
  }

  MemoryBudget memory_{0};
  OutputPool pool_{memory_};
  OutputQueue queue_;
  CountingKeys keys_;
  FrameWriter server_{pool_};
  FrameWriter client_{pool_, &keys_};
};

TEST_F(FrameWriterTest, WritesPayloadsOfAnySize) {
  for (const std::size_t size : {0, 1, 125, 126, 1024, 1025, 16'383, 16'384, 16'385, 65'535, 65'536, 200'001}) {
    std::string payload(size, '\0');
    for (std::size_t at = 0; at < size; ++at) payload[at] = static_cast<char>(at % 251);
    server_.append(queue_, header(Opcode::kText, size), as_bytes(payload));
    client_.append(queue_, header(Opcode::kBinary, size, false), as_bytes(payload));
    EXPECT_EQ(frames_in(take()), Log({"text:" + payload, "binary+!:" + payload})) << size;
  }
}

// RFC 6455 5.7.
TEST_F(FrameWriterTest, WritesTheExamplesOfTheRfc) {
  class Key final : public MaskingKeys {
   public:
    std::uint32_t next() override {
      constexpr std::array<std::uint8_t, 4> kKey = {0x37, 0xFA, 0x21, 0x3D};
      std::uint32_t key;
      std::memcpy(&key, kKey.data(), sizeof(key));
      return key;
    }
  } key;
  server_.append(queue_, header(Opcode::kText, 5), as_bytes("Hello"));
  EXPECT_EQ(take(), Bytes({0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F}));
  FrameWriter(pool_, &key).append(queue_, header(Opcode::kText, 5), as_bytes("Hello"));
  EXPECT_EQ(take(), Bytes({0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58}));
}

TEST_F(FrameWriterTest, MasksEachFrameWithANewKey) {
  std::set<std::uint32_t> keys;
  for (int i = 0; i < 100; ++i) {
    client_.append(queue_, header(Opcode::kPing, 0), {});
    const Bytes bytes = take();
    FrameHeader read;
    ProtocolError error;
    ASSERT_EQ(parse_frame_header(bytes, read, error), HeaderStatus::kComplete);
    keys.insert(read.mask_key);
  }
  EXPECT_EQ(keys.size(), 100U);
}

TEST_F(FrameWriterTest, ClosesWithWhatFits) {
  server_.append_close(queue_, CloseCode::kNone, "left out");
  server_.append_close(queue_, CloseCode::kNormal, "");
  server_.append_close(queue_, CloseCode::kGoingAway, std::string(200, 'x'));
  client_.append_close(queue_, CloseCode::kGoingAway, "bye");
  EXPECT_EQ(frames_in(take()),
            Log({"close:", "close:1000:", "close:1001:" + std::string(123, 'x'), "close!:1001:bye"}));
}

TEST_F(FrameWriterTest, SharesFramesUnlessTheyHaveToBeMasked) {
  for (const std::size_t size : {10, 600, 20'000}) {
    const std::string payload(size, 's');
    PreparedMessage message(memory_, Opcode::kBinary, as_bytes(payload));
    const SharedFrame& frame = message.frame_for(nullptr).bytes;
    server_.append_shared(queue_, frame);
    EXPECT_EQ(frame.use_count(), size > 512 ? 2 : 1);
    client_.append_shared(queue_, frame);
    EXPECT_EQ(frame.use_count(), size > 512 ? 2 : 1);
    EXPECT_EQ(frames_in(take()), Log({"binary:" + payload, "binary!:" + payload}));
  }
}

TEST_F(FrameWriterTest, PinsLargePayloadsOfAServer) {
  class Keeper final : public PayloadOwner {
   public:
    void release_payload(int handle) override { released.push_back(handle); }
    std::vector<int> released;
  } keeper;
  const std::string large(2000, 'l');
  server_.append(queue_, header(Opcode::kText, large.size()), as_bytes(large), PinnedPayload(keeper, 1));
  client_.append(queue_, header(Opcode::kText, large.size()), as_bytes(large), PinnedPayload(keeper, 2));
  server_.append(queue_, header(Opcode::kText, 5), as_bytes("short"), PinnedPayload(keeper, 3));
  EXPECT_EQ(keeper.released, std::vector<int>({2, 3}));
  EXPECT_EQ(frames_in(take()), Log({"text:" + large, "text!:" + large, "text:short"}));
  EXPECT_EQ(keeper.released, std::vector<int>({2, 3, 1}));
}

}  // namespace
}  // namespace websockets
