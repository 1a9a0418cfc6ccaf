// SPDX-License-Identifier: MIT
#include "cluster/redis_protocol.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "cluster/redis_reply.h"

using namespace websockets;
using namespace std::string_literals;

namespace {

using Status = RedisReplyReader::Status;
using Type = RedisReply::Type;

std::span<const std::uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Status read(RedisReplyReader& reader, std::string_view text, RedisReply& reply) {
  std::span<const std::uint8_t> input = bytes(text);
  return reader.read(input, reply);
}

TEST(RedisReplyReader, ReadsEachType) {
  RedisReplyReader reader(64 * 1024);
  std::span<const std::uint8_t> input =
      bytes("+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*2\r\n:1\r\n*1\r\n$0\r\n\r\n*-1\r\n");
  RedisReply reply;
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  EXPECT_EQ(reply.type, Type::kStatus);
  EXPECT_EQ(reply.text, "OK");
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  EXPECT_TRUE(reply.is_error());
  EXPECT_EQ(reply.text, "ERR no");
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  EXPECT_EQ(reply.integer, -7);
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  EXPECT_EQ(reply.text, "a\r\nb");
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  EXPECT_EQ(reply.type, Type::kNil);
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  ASSERT_EQ(reply.elements.size(), 2U);
  EXPECT_EQ(reply.elements[0].integer, 1);
  ASSERT_EQ(reply.elements[1].elements.size(), 1U);
  EXPECT_EQ(reply.elements[1].elements[0].type, Type::kString);
  ASSERT_EQ(reader.read(input, reply), Status::kReply);
  EXPECT_EQ(reply.type, Type::kNil);
  EXPECT_EQ(reader.read(input, reply), Status::kMore);
}

TEST(RedisReplyReader, ReadsWhatComesByteByByte) {
  RedisReplyReader reader(64 * 1024);
  const std::string text = "*3\r\n$7\r\nmessage\r\n$3\r\na\0b\r\n$5\r\n\r\n\r\n\0\r\n"s;
  RedisReply reply;
  for (const char& c : text) {
    const bool is_last = &c == &text.back();
    ASSERT_EQ(read(reader, {&c, 1}, reply), is_last ? Status::kReply : Status::kMore);
  }
  ASSERT_EQ(reply.elements.size(), 3U);
  EXPECT_EQ(reply.elements[1].text, "a\0b"s);
  EXPECT_EQ(reply.elements[2].text, "\r\n\r\n\0"s);
}

TEST(RedisReplyReader, RefusesWhatIsNoReply) {
  for (const char* text : {"HTTP/1.1 200 OK\r\n", "$x\r\n", "*1\r\n!\r\n", "$-2\r\n", ":\r\n:x\r\n"}) {
    RedisReplyReader reader(64 * 1024);
    RedisReply reply;
    EXPECT_EQ(read(reader, text, reply), Status::kMalformed) << text;
    EXPECT_EQ(read(reader, "+OK\r\n", reply), Status::kMalformed);
  }
}

TEST(RedisReplyReader, HoldsNoMoreThanItsBound) {
  const std::string large(5000, 'x');
  for (const std::string& text : {"$5000\r\n" + large, "+" + large, "*1000000000\r\n"s, "*100\r\n"s,
                                  "*2\r\n$1000\r\n" + large.substr(0, 1000) + "\r\n$3500\r\n" + large}) {
    RedisReplyReader reader(4096);
    RedisReply reply;
    EXPECT_EQ(read(reader, text, reply), Status::kTooLarge) << text.substr(0, 20);
    EXPECT_EQ(read(reader, "+OK\r\n", reply), Status::kTooLarge);
  }
  RedisReplyReader reader(4096);
  RedisReply reply;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(read(reader, "$1000\r\n" + large.substr(0, 1000) + "\r\n", reply), Status::kReply);
}

TEST(RedisCommand, HasItsArgumentsByCount) {
  ByteBuffer output;
  append_redis_command(output, std::array<std::string_view, 1>{"PING"});
  append_redis_command(output, std::array<std::string_view, 3>{"PUBLISH", std::string_view("a\r\n\0", 4), ""});
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(output.data()), output.size()),
            "*1\r\n$4\r\nPING\r\n*3\r\n$7\r\nPUBLISH\r\n$4\r\na\r\n\0\r\n$0\r\n\r\n"s);
}

}  // namespace
