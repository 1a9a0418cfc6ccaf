// SPDX-License-Identifier: MIT
#include "cluster/worker_rings.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "fake_pollable.h"
#include "forked.h"
#include "shared_memory.h"

namespace websockets {
namespace {

std::unique_ptr<WorkerRings> make_rings(std::size_t count, std::uint64_t max_message_bytes = 1000) {
  Result<std::unique_ptr<WorkerRings>> rings = WorkerRings::create(count, max_message_bytes);
  return rings ? std::move(*rings) : nullptr;
}

bool write(WorkerRings& rings, std::size_t slot, std::string_view body) {
  return rings.ring(slot).write({1, {}, as_bytes(body)});
}

std::string next(BroadcastRing::Reader& reader) {
  BroadcastRing::Copy copy;
  BroadcastRing::Record record;
  if (reader.read(copy, record) != BroadcastRing::Reader::Status::kRecord) return "none";
  return std::string(as_text(record.body));
}

TEST(WorkerRings, HaveRoomForMessagesOfTheirBound) {
  for (const std::uint64_t bound : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{1U << 20U}}) {
    const auto rings = make_rings(2, bound);
    ASSERT_NE(rings, nullptr);
    EXPECT_EQ(rings->count(), 2U);
    BroadcastRing::Reader first(rings->ring(0));
    BroadcastRing::Reader second(rings->ring(1));
    const std::size_t most = static_cast<std::size_t>(bound) + WorkerRings::kTopicBytes;
    EXPECT_TRUE(write(*rings, 0, std::string(most, 'x')));
    EXPECT_FALSE(write(*rings, 0, std::string(most + 1, 'x')));
    EXPECT_EQ(next(first), std::string(most, 'x'));
    EXPECT_EQ(next(second), "none");
  }
}

TEST(WorkerRings, HaveABoundOfTheirOwnWhereThereIsNone) {
  const auto rings = make_rings(2, std::uint64_t{1} << 62U);
  ASSERT_NE(rings, nullptr);
  const std::string large(WorkerRings::kUnboundedMessageBytes, 'x');
  EXPECT_TRUE(write(*rings, 0, large));
  EXPECT_FALSE(write(*rings, 1, large + std::string(WorkerRings::kTopicBytes + 1, 'x')));
}

TEST(WorkerRings, SayWhenTheyCannotBeHad) {
  const auto rings = WorkerRings::create(std::size_t{1} << 30U, 1U << 30U);
  ASSERT_FALSE(rings);
  EXPECT_NE(rings.error().text.find("no shared memory"), std::string::npos);
  EXPECT_EQ(rings.error().code, ENOMEM);
}

TEST(WorkerRings, WakeAllOthersOnceUntilTheyWait) {
  const auto rings = make_rings(3);
  ASSERT_NE(rings, nullptr);
  for (int i = 0; i < 3; ++i) rings->wake_others(1);
  EXPECT_TRUE(is_readable(rings->wake_fd(0)));
  EXPECT_FALSE(is_readable(rings->wake_fd(1)));
  EXPECT_TRUE(is_readable(rings->wake_fd(2)));
  rings->clear_wake(0);
  rings->wake_others(1);
  EXPECT_FALSE(is_readable(rings->wake_fd(0)));  // it reads anyway
  rings->await_wake(0);
  EXPECT_FALSE(is_readable(rings->wake_fd(0)));
  rings->wake_others(2);
  EXPECT_TRUE(is_readable(rings->wake_fd(0)));
}

TEST(WorkerRings, OfOneWorkerWakeNobody) {
  const auto rings = make_rings(1);
  ASSERT_NE(rings, nullptr);
  rings->wake_others(0);
  EXPECT_FALSE(is_readable(rings->wake_fd(0)));
}

// The source of the message cannot be read to its end.
TEST(WorkerRings, GoOnBehindAWorkerThatHasDied) {
  const auto rings = make_rings(2);
  ASSERT_NE(rings, nullptr);
  SharedMemory source(2 * 4096);
  ASSERT_EQ(::mprotect(static_cast<std::uint8_t*>(source.data()) + 4096, 4096, PROT_NONE), 0);
  BroadcastRing::Reader reader(rings->ring(0));
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int number : {SIGSEGV, SIGBUS}) static_cast<void>(::signal(number, SIG_DFL));
    run_in_child([&] {
      write(*rings, 0, "1");  // nobody is woken
      const std::span body(static_cast<const std::uint8_t*>(source.data()) + 4000, 1000);
      return rings->ring(0).write({1, {}, body});
    });
  }
  ASSERT_GT(child, 0);
  ASSERT_FALSE(has_succeeded(child));
  EXPECT_FALSE(is_readable(rings->wake_fd(1)));
  rings->recover(0);
  EXPECT_TRUE(is_readable(rings->wake_fd(1)));
  EXPECT_EQ(next(reader), "1");
  EXPECT_TRUE(reader.has_more());  // the place of the other one
  EXPECT_EQ(next(reader), "none");
  EXPECT_TRUE(write(*rings, 0, "2"));
  EXPECT_EQ(next(reader), "2");
}

// Others take it for awake from then on.
TEST(WorkerRings, WakeWhomAWorkerThatHasDiedWasAboutToWake) {
  const auto rings = make_rings(2);
  ASSERT_NE(rings, nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      for (int fd = 3; fd < 1024; ++fd) ::close(fd);  // so that the signal reaches nobody
      rings->wake_others(0);
      return true;
    });
  }
  ASSERT_TRUE(has_succeeded(child));
  rings->wake_others(0);
  EXPECT_FALSE(is_readable(rings->wake_fd(1)));
  rings->recover(0);
  EXPECT_TRUE(is_readable(rings->wake_fd(1)));
}

}  // namespace
}  // namespace websockets
