// SPDX-License-Identifier: MIT
#include "net/wake_event.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <thread>

#include "fake_pollable.h"

namespace websockets {
namespace {

TEST(WakeEvent, HasNoDescriptorAtFirst) { EXPECT_EQ(WakeEvent().fd(), -1); }

TEST(WakeEvent, IsReadableFromASignalUntilItIsCleared) {
  WakeEvent event;
  ASSERT_TRUE(event.open());
  EXPECT_EQ(::fcntl(event.fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(is_readable(event.fd()));
  event.clear();  // does not block
  event.signal();
  event.signal();
  EXPECT_TRUE(is_readable(event.fd()));
  event.clear();
  EXPECT_FALSE(is_readable(event.fd()));
}

TEST(WakeEvent, AnyNumberOfSignalsIsCleared) {
  WakeEvent event;
  ASSERT_TRUE(event.open());
  for (int i = 0; i < 100'000; ++i) event.signal();
  event.clear();
  EXPECT_FALSE(is_readable(event.fd()));
}

TEST(WakeEvent, AnotherThreadWakesWhoWaitsForIt) {
  WakeEvent event;
  ASSERT_TRUE(event.open());
  std::thread other([&] { event.signal(); });
  pollfd poll{event.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, -1), 1);
  other.join();
}

}  // namespace
}  // namespace websockets
