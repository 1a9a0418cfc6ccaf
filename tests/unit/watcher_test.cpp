// SPDX-License-Identifier: MIT
#include "loop/watcher.h"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_pollable.h"
#include "socket_pairs.h"

namespace websockets {
namespace {

using Log = std::vector<std::string>;

class FakeReadyHandler final : public ReadyHandler {
 public:
  void on_ready(std::span<const Ready> group) override {
    group_sizes.push_back(group.size());
    for (const Ready& ready : group) ready.pollable->on_ready(ready.events);
  }
  std::vector<std::size_t> group_sizes;
};

class WatcherTest : public testing::Test {
 protected:
  std::unique_ptr<Watcher> make(DescriptorObserver* its_observer, bool announces_one = false,
                                const std::string& driver = {}) {
    auto watcher = std::make_unique<Watcher>(handler, its_observer, announces_one, driver);
    const Error error = watcher->open();
    EXPECT_FALSE(error) << error.text;
    return watcher;
  }
  Log take_log() { return std::exchange(log, {}); }
  static std::string plus(int fd) { return "+" + std::to_string(fd); }
  static std::string minus(int fd) { return "-" + std::to_string(fd); }

  FakeReadyHandler handler;
  FakeObserver observer;
  Log log;
  SocketPair pair = local_pair();
  FakePollable pollable{pair.near.get(), log, "a"};
};

TEST_F(WatcherTest, ItsOwnLoopServesWhatIsReady) {
  const auto watcher = make(nullptr);
  EXPECT_TRUE(watcher->has_own_loop());
  EXPECT_FALSE(watcher->announces_each());
  EXPECT_FALSE(watcher->is_woken());
  EXPECT_EQ(watcher->internal_fd(), -1);
  EXPECT_TRUE(watcher->change(pollable, 0, kReadable));
  EXPECT_FALSE(watcher->serve(0));
  write_all(pair.far.get(), "x");
  EXPECT_TRUE(watcher->serve(-1));
  EXPECT_TRUE(watcher->change(pollable, kReadable, kReadable | kWritable));
  EXPECT_TRUE(watcher->serve(-1));
  EXPECT_TRUE(watcher->change(pollable, kReadable | kWritable, 0));
  EXPECT_FALSE(watcher->serve(0));
  EXPECT_EQ(take_log(), (Log{"a ready to read", "a ready to read to write"}));
}

TEST_F(WatcherTest, HasThoseThatAreReadyServedInGroups) {
  const auto watcher = make(nullptr);
  std::vector<SocketPair> pairs;
  std::vector<std::unique_ptr<FakePollable>> pollables;
  for (std::size_t i = 0; i < ReadyHandler::kMostReady + 4; ++i) {
    pairs.push_back(local_pair());
    pollables.push_back(std::make_unique<FakePollable>(pairs.back().near.get(), log));
    watcher->change(*pollables.back(), 0, kWritable);
  }
  watcher->serve(-1);
  EXPECT_EQ(handler.group_sizes, (std::vector<std::size_t>{ReadyHandler::kMostReady, 4}));
}

TEST_F(WatcherTest, ItsOwnLoopBecomesADescriptor) {
  const auto watcher = make(nullptr, false, "poll");
  EXPECT_EQ(watcher->own_loop_fd(), -1);
  ASSERT_FALSE(watcher->open_own_loop(true));
  const int fd = watcher->own_loop_fd();
  EXPECT_TRUE(watcher->is_woken());
  EXPECT_TRUE(watcher->watch_internal(pollable));
  EXPECT_FALSE(is_readable(fd));
  write_all(pair.far.get(), "x");
  EXPECT_TRUE(is_readable(fd));
  watcher->unwatch_internal(pollable);
  EXPECT_FALSE(is_readable(fd));
  watcher->wake_at(0);
  EXPECT_TRUE(is_readable(fd));
  watcher->serve(0);
  EXPECT_FALSE(is_readable(fd));
  watcher->close_own_loop();
  EXPECT_FALSE(watcher->has_own_loop());
  EXPECT_FALSE(watcher->is_woken());
}

TEST_F(WatcherTest, AnnouncesEachForReading) {
  const auto watcher = make(&observer);
  EXPECT_TRUE(watcher->announces_each());
  EXPECT_FALSE(watcher->has_own_loop());
  const int internal_fd = watcher->internal_fd();
  EXPECT_EQ(observer.take_events(), (Log{plus(internal_fd)}));
  EXPECT_TRUE(watcher->change(pollable, 0, kReadable));
  EXPECT_EQ(observer.take_events(), (Log{plus(pollable.fd())}));
  EXPECT_FALSE(is_readable(internal_fd));

  EXPECT_TRUE(watcher->change(pollable, kReadable, kReadable | kWritable));
  EXPECT_EQ(observer.take_events(), Log{});
  EXPECT_TRUE(is_readable(internal_fd)) << "what waits to be written is its own matter";
  watcher->serve_internal();
  EXPECT_EQ(take_log(), (Log{"a ready to write"}));

  EXPECT_TRUE(watcher->change(pollable, kReadable | kWritable, kWritable));
  EXPECT_EQ(observer.take_events(), (Log{minus(pollable.fd())}));
  EXPECT_TRUE(watcher->change(pollable, kWritable, 0));
  EXPECT_FALSE(is_readable(internal_fd));
  watcher->close();
  watcher->close();
  EXPECT_EQ(observer.take_events(), (Log{minus(internal_fd)}));
}

TEST_F(WatcherTest, TheInternalOneWakesAnOuterLoop) {
  const auto watcher = make(&observer);
  EXPECT_TRUE(watcher->is_woken());
  EXPECT_FALSE(is_readable(watcher->internal_fd()));
  watcher->wake_at(0);
  EXPECT_TRUE(is_readable(watcher->internal_fd()));
  watcher->serve_internal();
  EXPECT_FALSE(is_readable(watcher->internal_fd()));
}

TEST_F(WatcherTest, TheInternalOneWatchesWhatIsTheLibrarysOwn) {
  const auto watcher = make(&observer);
  observer.take_events();
  EXPECT_TRUE(watcher->watch_internal(pollable));
  EXPECT_FALSE(is_readable(watcher->internal_fd()));
  write_all(pair.far.get(), "x");
  EXPECT_TRUE(is_readable(watcher->internal_fd()));
  watcher->serve_internal();
  ASSERT_FALSE(watcher->open_own_loop(false));
  EXPECT_TRUE(watcher->serve(-1)) << "by way of the internal one";
  EXPECT_EQ(take_log(), (Log{"a ready to read", "a ready to read"}));
  watcher->unwatch_internal(pollable);
  EXPECT_FALSE(is_readable(watcher->internal_fd()));
  EXPECT_EQ(observer.take_events(), Log{});
}

TEST_F(WatcherTest, HasAnOwnLoopBesideTheOuterOneWhenItIsAskedFor) {
  const auto watcher = make(&observer);
  watcher->change(pollable, 0, kReadable | kWritable);
  ASSERT_FALSE(watcher->open_own_loop(false));
  EXPECT_TRUE(watcher->watch_in_own_loop(pollable, kReadable | kWritable));
  observer.take_events();
  EXPECT_TRUE(watcher->serve(-1));
  EXPECT_EQ(take_log(), (Log{"a ready to write"})) << "by the internal one";
  write_all(pair.far.get(), "x");
  watcher->change(pollable, kReadable | kWritable, kReadable);
  EXPECT_TRUE(watcher->serve(-1));
  EXPECT_EQ(take_log(), (Log{"a ready to read"}));
  watcher->change(pollable, kReadable, 0);
  EXPECT_FALSE(watcher->serve(0));
  EXPECT_EQ(observer.take_events(), (Log{minus(pollable.fd())}));
}

TEST_F(WatcherTest, AnnouncesOneThatStandsForAll) {
  const auto watcher = make(&observer, true);
  const int fd = watcher->own_loop_fd();
  EXPECT_FALSE(watcher->announces_each());
  EXPECT_EQ(observer.take_events(), (Log{plus(fd)}));
  watcher->change(pollable, 0, kReadable);
  write_all(pair.far.get(), "x");
  EXPECT_TRUE(is_readable(fd));
  watcher->change(pollable, kReadable, 0);
  EXPECT_FALSE(is_readable(fd));
  EXPECT_EQ(observer.take_events(), Log{});
  watcher->close();
  EXPECT_EQ(observer.take_events(), (Log{minus(fd)}));
}

TEST_F(WatcherTest, ServesNothingMoreWhenACallbackHasClosedIt) {
  const auto watcher = make(&observer, true);
  pollable.action = [&] { watcher->close(); };
  watcher->change(pollable, 0, kWritable);
  watcher->serve(-1);
  watcher->serve(0);
  EXPECT_EQ(take_log(), (Log{"a ready to write"}));
}

TEST_F(WatcherTest, ACallbackMayExchangeTheOwnLoop) {
  const auto watcher = make(nullptr);
  pollable.action = [&] {
    EXPECT_FALSE(watcher->open_own_loop(true));
    EXPECT_TRUE(watcher->watch_in_own_loop(pollable, kWritable));
  };
  watcher->change(pollable, 0, kWritable);
  EXPECT_TRUE(watcher->serve(-1));
  EXPECT_EQ(take_log(), (Log{"a ready to write"}));
}

TEST_F(WatcherTest, OneThatIsAbandonedOrReleasedHasNoDescriptors) {
  const auto abandoned = make(&observer);
  const auto released = make(nullptr);
  observer.take_events();
  abandoned->abandon();
  abandoned->close();
  released->close();
  released->release();
  for (const auto& watcher : {abandoned.get(), released.get()}) {
    EXPECT_FALSE(watcher->has_own_loop());
    EXPECT_EQ(watcher->internal_fd(), -1);
    EXPECT_FALSE(watcher->is_woken());
    EXPECT_TRUE(watcher->change(pollable, 0, kReadable));
    EXPECT_FALSE(watcher->serve(0));
  }
  EXPECT_EQ(observer.take_events(), Log{});
}

TEST_F(WatcherTest, ASignalEndsTheWait) {
  const auto watcher = make(nullptr);
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, &before);
  const itimerval every_ms{{0, 1000}, {0, 1000}};
  ::setitimer(ITIMER_REAL, &every_ms, nullptr);
  EXPECT_TRUE(watcher->serve(-1));
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
}

TEST_F(WatcherTest, AnUnknownDriverIsAnErrorThatNamesIt) {
  Watcher watcher(handler, nullptr, false, "none");
  const Error error = watcher.open();
  EXPECT_NE(error.text.find("(none)"), std::string::npos);
  EXPECT_FALSE(watcher.has_own_loop());
}

}  // namespace
}  // namespace websockets
