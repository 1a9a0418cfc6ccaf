// SPDX-License-Identifier: MIT
#include "client/write_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "session_fixture.h"

namespace websockets {
namespace {

using namespace session_support;

class WriteQueueTest : public testing::Test {
 protected:
  WriteStatus add(Opcode opcode, std::string_view payload, bool fin = true) {
    return queue.add(opcode, fin, as_bytes(payload));
  }
  // The frames that a session is given.
  Log sent() {
    queue.send_by(side.session);
    return frames_in(side.take_sent());
  }

  Endpoint endpoint{Role::kClient};
  Side side{endpoint};
  WriteQueue queue{endpoint.memory, 1000};
};

TEST_F(WriteQueueTest, FramesAreSentInOrder) {
  EXPECT_EQ(add(Opcode::kText, "one"), WriteStatus::kAccepted);
  EXPECT_EQ(add(Opcode::kPing, "two"), WriteStatus::kAccepted);
  EXPECT_EQ(add(Opcode::kBinary, ""), WriteStatus::kAccepted);
  EXPECT_EQ(sent(), (Log{"text!:one", "ping!:two", "binary!:"}));
  EXPECT_EQ(queue.bytes(), 0U);
  EXPECT_EQ(sent(), Log{});
}

TEST_F(WriteQueueTest, AMessageInFragmentsGoesOnInTheSession) {
  add(Opcode::kText, "a", false);
  add(Opcode::kPing, "");
  EXPECT_TRUE(queue.is_fragmenting());
  EXPECT_EQ(sent(), (Log{"text+!:a", "ping!:"}));
  EXPECT_FALSE(queue.is_fragmenting());
  EXPECT_TRUE(side.session.is_fragmenting());
}

TEST_F(WriteQueueTest, AFragmentWithFinEndsTheMessage) {
  add(Opcode::kText, "a", false);
  add(Opcode::kContinuation, "b", true);
  EXPECT_FALSE(queue.is_fragmenting());
}

TEST_F(WriteQueueTest, IsFullWhenASessionWouldBe) {
  const std::string payload(972, 'x');
  EXPECT_EQ(add(Opcode::kText, payload), WriteStatus::kAccepted);
  EXPECT_EQ(add(Opcode::kText, "x"), WriteStatus::kQueueFull);
  EXPECT_EQ(add(Opcode::kText, ""), WriteStatus::kAccepted);
  EXPECT_EQ(add(Opcode::kText, ""), WriteStatus::kQueueFull);
  EXPECT_EQ(queue.bytes(), 1000U);
}

TEST_F(WriteQueueTest, ACloseFrameIsTheLastOneAndHasRoomAlways) {
  add(Opcode::kText, std::string(972, 'x'));
  add(Opcode::kText, "");
  EXPECT_FALSE(queue.is_closing());
  EXPECT_EQ(queue.add_close(CloseCode::kNormal, "bye"), WriteStatus::kAccepted);
  EXPECT_TRUE(queue.is_closing());
  EXPECT_EQ(queue.add_close(CloseCode::kNormal, "bye"), WriteStatus::kClosed);
  EXPECT_EQ(add(Opcode::kPing, ""), WriteStatus::kClosed);
  EXPECT_EQ(sent().back(), "close!:1000:bye");
  EXPECT_FALSE(queue.is_closing());
}

TEST_F(WriteQueueTest, TheFirstFrameMayHaveAnySize) {
  EXPECT_EQ(add(Opcode::kText, std::string(5000, 'x')), WriteStatus::kAccepted);
  EXPECT_EQ(add(Opcode::kPing, ""), WriteStatus::kQueueFull);
}

// The session has fewer bytes of headers, so that it always takes what the queue has taken.
TEST_F(WriteQueueTest, WhatWasTakenFitsIntoASession) {
  endpoint.rules.max_backpressure_bytes = 1000;
  side.carrier.room = 0;
  while (add(Opcode::kText, "x") == WriteStatus::kAccepted) {
  }
  queue.send_by(side.session);
  side.carrier.run_deferred();
  EXPECT_TRUE(side.session.is_open());
}

TEST_F(WriteQueueTest, ASessionWithoutRoomFails) {
  endpoint.rules.max_backpressure_bytes = 10;
  side.carrier.room = 0;
  add(Opcode::kText, "first");
  add(Opcode::kText, "second");
  queue.send_by(side.session);
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log().back(), "closed 1013:too slow: the queue is full");
}

TEST_F(WriteQueueTest, ItsBytesAreCounted) {
  add(Opcode::kText, "hello");
  EXPECT_EQ(endpoint.memory.used(), queue.bytes());
  queue.clear();
  EXPECT_EQ(queue.bytes(), 0U);
  EXPECT_EQ(endpoint.memory.used(), 0U);
}

TEST_F(WriteQueueTest, IsFullWhenMemoryIsShort) {
  MemoryBudget memory(100);
  memory.add(101);
  WriteQueue short_queue(memory, 1000);
  EXPECT_EQ(short_queue.add(Opcode::kText, true, {}), WriteStatus::kAccepted);
  EXPECT_EQ(short_queue.add(Opcode::kText, true, {}), WriteStatus::kQueueFull);
}

TEST_F(WriteQueueTest, WithoutMemoryAllIsAsItWas) {
  add(Opcode::kText, "one");
  for (std::size_t failing = 1;; ++failing) {
    const std::size_t before = queue.bytes();
    const FailingAllocation failure(failing);
    try {
      add(Opcode::kText, std::string_view("a message that is not short"), false);
    } catch (const std::bad_alloc&) {
      EXPECT_EQ(queue.bytes(), before);
      EXPECT_FALSE(queue.is_fragmenting());
    }
    if (!failure.has_failed()) break;
    ASSERT_LT(failing, 10U);
  }
}

}  // namespace
}  // namespace websockets
