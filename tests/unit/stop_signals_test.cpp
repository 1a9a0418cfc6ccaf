// SPDX-License-Identifier: MIT
#include "server/stop_signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "fake_pollable.h"

namespace websockets {
namespace {

volatile std::sig_atomic_t seen_before = 0;

TEST(StopSignals, AreNoticedByDescriptors) {
  StopSignals signals;
  ASSERT_FALSE(signals.open());
  EXPECT_EQ(StopSignals::count(), 0);
  EXPECT_FALSE(is_readable(StopSignals::first_fd()));
  std::raise(SIGTERM);
  EXPECT_EQ(StopSignals::count(), 1);
  EXPECT_EQ(StopSignals::last(), SIGTERM);
  EXPECT_TRUE(is_readable(StopSignals::first_fd()));
  EXPECT_FALSE(is_readable(StopSignals::second_fd()));
  std::raise(SIGINT);
  EXPECT_EQ(StopSignals::count(), 2);
  EXPECT_EQ(StopSignals::last(), SIGINT);
  EXPECT_TRUE(is_readable(StopSignals::second_fd()));
}

TEST(StopSignals, TheLastOneRestoresWhatWasThere) {
  const auto before = std::signal(SIGTERM, [](int) { seen_before = seen_before + 1; });
  std::optional<StopSignals> outer(std::in_place);
  ASSERT_FALSE(outer->open());
  {
    StopSignals inner;
    ASSERT_FALSE(inner.open());
  }
  std::raise(SIGTERM);
  EXPECT_EQ(seen_before, 0);
  EXPECT_EQ(StopSignals::count(), 1);
  outer.reset();
  std::raise(SIGTERM);
  EXPECT_EQ(seen_before, 1);
  std::signal(SIGTERM, before);
}

TEST(StopSignals, BeginAnewWhenNobodyWasLeft) {
  {
    StopSignals first;
    ASSERT_FALSE(first.open());
    std::raise(SIGINT);
  }
  StopSignals second;
  ASSERT_FALSE(second.open());
  EXPECT_EQ(StopSignals::count(), 0);
  EXPECT_FALSE(is_readable(StopSignals::first_fd()));
}

TEST(StopSignals, TheThirdOneEndsTheProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    StopSignals signals;
    if (signals.open()) ::_exit(1);
    for (int i = 0; i < 3; ++i) std::raise(SIGTERM);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

}  // namespace
}  // namespace websockets
