// SPDX-License-Identifier: MIT
#include "cluster/cluster_message.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace websockets {
namespace {

std::string payload_of(const ClusterMessage& message) { return message.header() + std::string(as_text(message.data)); }

TEST(ClusterMessageTest, IsALineAndTheData) {
  ClusterMessage message;
  message.origin = "ab12";
  message.sender = 7;
  message.data = as_bytes(std::string_view("one\ntwo"));
  EXPECT_EQ(payload_of(message), "1 t ab12 7\none\ntwo");
  message.opcode = Opcode::kBinary;
  message.epoch = "e0";
  message.offset = 12;
  EXPECT_EQ(payload_of(message), "1 b ab12 7 e0 12\none\ntwo");
}

TEST(ClusterMessageTest, IsReadAsItWasWritten) {
  for (const Opcode opcode : {Opcode::kText, Opcode::kBinary}) {
    for (const std::string_view epoch : {"", "e0"}) {
      for (const std::string_view data : {std::string_view(), std::string_view("\0\n\r ", 4), std::string_view("x")}) {
        ClusterMessage message;
        message.opcode = opcode;
        message.origin = "0";
        message.sender = std::numeric_limits<std::uint64_t>::max();
        message.epoch = epoch;
        message.offset = epoch.empty() ? 0 : 3;
        message.data = as_bytes(data);
        const std::string payload = payload_of(message);
        const auto read = ClusterMessage::parse(as_bytes(payload));
        ASSERT_TRUE(read) << payload;
        EXPECT_EQ(read->opcode, opcode);
        EXPECT_EQ(read->origin, "0");
        EXPECT_EQ(read->sender, message.sender);
        EXPECT_EQ(read->epoch, epoch);
        EXPECT_EQ(read->offset, message.offset);
        EXPECT_EQ(as_text(read->data), data);
      }
    }
  }
}

TEST(ClusterMessageTest, IsNothingElse) {
  for (const std::string_view payload :
       {"", "\n", "1\n", "hello", "1 t a 0", "2 t a 0\nx", "1 x a 0\nx", "1 t a\nx", "1 t a 0 e\nx", "1 t a 0 e 0\nx",
        "1 t a 0 e 1 2\nx", "1 t a -1\nx", "1 t a 0x\nx", "1 t  0\nx", "1 t a 0 \nx", " 1 t a 0\nx", "1 t a 0 e 1x\nx",
        "1 t a 18446744073709551616\nx"}) {
    EXPECT_FALSE(ClusterMessage::parse(as_bytes(payload))) << payload;
  }
  EXPECT_FALSE(ClusterMessage::parse(as_bytes("1 t " + std::string(1000, 'a') + " 0\nx")));
}

}  // namespace
}  // namespace websockets
