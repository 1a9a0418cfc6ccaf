// SPDX-License-Identifier: MIT
#include "loop/loop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "fake_pollable.h"
#include "loop_fixture.h"

namespace websockets {
namespace {

class FakeTimer final : public Timer {
 public:
  explicit FakeTimer(std::function<void()> action) : action_(std::move(action)) {}
  void on_timeout() override { action_(); }

 private:
  std::function<void()> action_;
};

class LoopTest : public LoopFixture {
 protected:
  void open_announcing(bool announces_one) {
    LoopOptions options;
    options.observer = &observer;
    options.announces_one = announces_one;
    open(options);
  }
  static std::string plus(int fd) { return "+" + std::to_string(fd); }
  static std::string minus(int fd) { return "-" + std::to_string(fd); }

  FakeObserver observer;
};

// --- Serving ---

TEST_F(LoopTest, Service0DoesNotWait) {
  FakeTimer timer([&] { log.emplace_back("timer"); });
  loop().schedule(timer, 1'000'000);
  loop().service(0);
  EXPECT_EQ(owner.turns, 1);
  EXPECT_EQ(log, Log{});
}

TEST_F(LoopTest, ServiceWaitsAtMostSoLong) {
  const std::uint64_t before_ms = monotonic_ms();
  loop().service(2);
  EXPECT_GE(monotonic_ms(), before_ms + 2);
}

TEST_F(LoopTest, ServiceReturnsAsSoonAsSomethingWasServed) {
  FakeSpeaker speaker(loop(), log);
  write_all(speaker.far.get(), "a");
  loop().service(1'000'000'000);
  write_all(speaker.far.get(), "b");
  loop().service(-1);
  EXPECT_EQ(log, (Log{"input:a", "input:b"}));
}

TEST_F(LoopTest, ServiceWaitsForATimer) {
  FakeTimer timer([&] { log.emplace_back("timer"); });
  loop().schedule(timer, 3);
  const std::uint64_t due_ms = timer.deadline_ms();
  loop().service(-1);
  EXPECT_EQ(log, (Log{"timer"}));
  EXPECT_GE(loop().now_ms(), due_ms);
}

TEST_F(LoopTest, CallsTimersInTurnAndNoneThatWasCancelled) {
  FakeTimer first([&] { log.emplace_back("first"); });
  FakeTimer second([&] {
    log.emplace_back("second");
    loop().schedule(second, 0);
  });
  FakeTimer third([&] { log.emplace_back("third"); });
  loop().schedule(second, 0);
  loop().schedule(first, 1'000'000);
  loop().schedule_at(first, loop().now_ms() - 1);
  loop().schedule(third, 0);
  loop().cancel(third);
  loop().service(0);
  EXPECT_EQ(take_log().size(), 2U) << "one that schedules itself waits for the next round";
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"second"}));
}

TEST_F(LoopTest, HasItsOwnerWorkInEachRoundWithoutWaiting) {
  owner.work = 2;
  loop().service(-1);
  EXPECT_EQ(owner.work, 1);
  EXPECT_EQ(loop().idle_ms(), 0);
  loop().service(-1);
  EXPECT_EQ(owner.work, 0);
  EXPECT_EQ(loop().idle_ms(), -1);
  EXPECT_EQ(owner.turns, 2);
}

TEST_F(LoopTest, ServesNothingOnceItWasStopped) {
  FakeSpeaker speaker(loop(), log);
  write_all(speaker.far.get(), "a");
  speaker.channel().defer();
  loop().stop();
  loop().service(-1);
  EXPECT_TRUE(loop().is_stopped());
  EXPECT_EQ(log, Log{});
}

TEST_F(LoopTest, ACallbackMayStopIt) {
  FakeSpeaker first(loop(), log, "a");
  FakeSpeaker second(loop(), log, "b");
  first.action = [&](const std::string&) { loop().stop(); };
  first.channel().defer();
  second.channel().defer();
  loop().service(0);
  EXPECT_EQ(log, (Log{"a deferred"}));
  EXPECT_FALSE(loop().has_own_loop()) << "its descriptors are closed when the outermost round ends";
}

TEST_F(LoopTest, CallsNoTimerOnceACallbackHasStoppedIt) {
  FakeSpeaker speaker(loop(), log);
  FakeTimer timer([&] { log.emplace_back("timer"); });
  speaker.action = [&](const std::string&) { loop().stop(); };
  write_all(speaker.far.get(), "a");
  loop().schedule(timer, 0);
  loop().service(0);
  EXPECT_EQ(log, (Log{"input:a"}));
}

// --- Rounds ---

TEST_F(LoopTest, OnlyTheOutermostRoundEnds) {
  {
    const Loop::Round outer(loop());
    {
      const Loop::Round inner(loop());
      loop().service(0);
    }
    EXPECT_EQ(owner.rounds, 0);
    EXPECT_TRUE(loop().in_round());
  }
  EXPECT_EQ(owner.rounds, 1);
  EXPECT_FALSE(loop().in_round());
  loop().enter();
  loop().forget_rounds();
  EXPECT_FALSE(loop().in_round());
}

TEST_F(LoopTest, TellsThatTheRoundEndsWhenWhatIsClosedWasReleased) {
  FakeSpeaker speaker(loop(), log);
  bool was_released = false;
  owner.during_round_end = [&] { was_released = speaker.is_released(); };
  const Loop::Round round(loop());
  speaker.channel().close();
  EXPECT_EQ(loop().channel_count(), 0U);
  loop().leave();
  EXPECT_TRUE(was_released);
  loop().enter();
}

TEST_F(LoopTest, DoesNotCountAChannelOfTheLibrarysOwn) {
  FakeSpeaker counted(loop(), log);
  FakeSpeaker own(loop(), log);
  own.channel().set_uncounted();
  EXPECT_EQ(loop().channel_count(), 1U);
  const Loop::Round round(loop());
  own.channel().close();
  EXPECT_EQ(loop().channel_count(), 1U);
  counted.channel().close();
  EXPECT_EQ(loop().channel_count(), 0U);
}

TEST_F(LoopTest, ANestedServiceGoesOnWithWhatWasPutOff) {
  FakeSpeaker first(loop(), log, "a");
  FakeSpeaker second(loop(), log, "b");
  first.action = [&](const std::string&) {
    loop().service(0);
    log.emplace_back("a returns");
  };
  first.channel().defer();
  second.channel().defer();
  loop().service(0);
  EXPECT_EQ(log, (Log{"a deferred", "b deferred", "a returns"}));
}

TEST_F(LoopTest, WhatIsPutOffMeanwhileWaitsForTheNextRound) {
  FakeSpeaker speaker(loop(), log);
  speaker.action = [&](const std::string&) { speaker.channel().defer(); };
  speaker.channel().defer();
  speaker.channel().defer();
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"deferred"}));
  EXPECT_EQ(loop().idle_ms(), 0);
  loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"deferred"}));
  speaker.action = [](const std::string&) {};
}

TEST_F(LoopTest, OneThatIsClosedWhilePutOffIsReleasedNevertheless) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().defer();
  {
    const Loop::Round round(loop());
    speaker.channel().close();
  }
  loop().service(0);
  EXPECT_EQ(log, (Log{"closed", "released"}));
}

TEST_F(LoopTest, OneThatIsClosedWhilePutOffIsReleasedWhenNothingIsServedAnyMore) {
  FakeSpeaker speaker(loop(), log, "a");
  FakeSpeaker open(loop(), log, "b");
  speaker.channel().defer();
  open.channel().defer();
  {
    const Loop::Round round(loop());
    speaker.channel().close();
    loop().stop();
  }
  EXPECT_EQ(log, (Log{"a closed", "a released"}));
}

TEST_F(LoopTest, OneThatIsClosedWhilePutOffIsReleasedWhenTheEndOfTheRoundStopsTheLoop) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().defer();
  owner.during_round_end = [&] { loop().stop(); };
  {
    const Loop::Round round(loop());
    speaker.channel().close();
  }
  EXPECT_EQ(log, (Log{"closed", "released"}));
}

TEST_F(LoopTest, NestedRoundsHaveReceiveBuffersOfTheirOwn) {
  auto first = loop().borrow_receive_buffer();
  auto second = loop().borrow_receive_buffer();
  auto* const address = first.get();
  EXPECT_NE(address, second.get());
  loop().give_back(std::move(first));
  EXPECT_EQ(loop().borrow_receive_buffer().get(), address);
}

// --- Other loops ---

TEST_F(LoopTest, ItsDescriptorIsReadableWhileItHasSomethingToDo) {
  FakeSpeaker speaker(loop(), log);
  const Result<int> fd = loop().poll_descriptor();
  ASSERT_TRUE(fd) << fd.error().text;
  EXPECT_EQ(*loop().poll_descriptor(), *fd) << "it is not made anew";
  EXPECT_FALSE(is_readable(*fd));
  write_all(speaker.far.get(), "watched from before");
  EXPECT_TRUE(is_readable(*fd));
  loop().service(0);
  EXPECT_FALSE(is_readable(*fd));
  speaker.channel().defer();
  EXPECT_TRUE(is_readable(*fd));
  loop().service(0);
  loop().service(0);
  EXPECT_FALSE(is_readable(*fd));
  EXPECT_EQ(log, (Log{"input:watched from before", "deferred"}));
}

TEST_F(LoopTest, ItsDescriptorIsReadableForWhatWasPutOffBefore) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().defer();
  EXPECT_TRUE(is_readable(*loop().poll_descriptor()));
}

TEST_F(LoopTest, ItsDescriptorIsReadableWhileAQuantumIsWaitedFor) {
  FakeSpeaker speaker(loop(), log);
  const int fd = *loop().poll_descriptor();
  for (const bool is_exclusive : {false, true}) {
    EXPECT_FALSE(is_readable(fd));
    is_exclusive ? loop().enqueue_exclusive(speaker.channel()) : loop().enqueue(speaker.channel());
    EXPECT_TRUE(is_readable(fd));
    loop().service(0);
    loop().service(0);
  }
}

TEST_F(LoopTest, ItsDescriptorIsReadableWhenATimerIsDue) {
  const int fd = *loop().poll_descriptor();
  FakeTimer timer([&] { log.emplace_back("timer"); });
  loop().schedule(timer, 5);
  EXPECT_GT(loop().idle_ms(), -1);
  pollfd poll{fd, POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, -1), 1);
  while (log.empty()) loop().service(0);
}

TEST_F(LoopTest, IsIdleUntilTheNextTimer) {
  EXPECT_EQ(loop().idle_ms(), -1);
  FakeTimer timer([] {});
  loop().schedule(timer, 1'000'000);
  EXPECT_GT(loop().idle_ms(), 0);
  EXPECT_LE(loop().idle_ms(), 1'000'000);
  loop().schedule(timer, 0);
  EXPECT_EQ(loop().idle_ms(), 0);
}

TEST_F(LoopTest, ServesADescriptorThatWasAnnounced) {
  open_announcing(false);
  ASSERT_EQ(observer.events.size(), 1U) << "its own";
  const int own_fd = std::stoi(observer.events[0].substr(1));
  observer.take_events();
  FakeSpeaker speaker(loop(), log);
  const int fd = speaker.channel().fd();
  EXPECT_EQ(observer.take_events(), (Log{plus(fd)}));
  EXPECT_TRUE(loop().announces_each());
  write_all(speaker.far.get(), "a");
  {
    const Loop::Round round(loop());
    EXPECT_EQ(loop().service_descriptor(fd), &speaker.channel());
    EXPECT_EQ(take_log(), (Log{"input:a"}));
    EXPECT_EQ(loop().service_descriptor(-1), nullptr);
    EXPECT_EQ(loop().service_descriptor(10'000), nullptr);
  }
  EXPECT_EQ(owner.turns, 1);

  speaker.channel().defer();
  EXPECT_TRUE(is_readable(own_fd));
  {
    const Loop::Round round(loop());
    EXPECT_EQ(loop().service_descriptor(own_fd), nullptr);
  }
  EXPECT_EQ(take_log(), (Log{"deferred"}));
  const Loop::Round round(loop());
  speaker.channel().close();
  EXPECT_EQ(observer.take_events(), (Log{minus(fd)}));
}

TEST_F(LoopTest, QuantaAreGivenInItsRoundsOfAnOuterLoop) {
  open_announcing(false);
  const int own_fd = std::stoi(observer.take_events()[0].substr(1));
  FakeSpeaker speaker(loop(), log);
  speaker.at_once = 1;
  speaker.cost = kQuantum;
  write_all(speaker.far.get(), "ab");
  const auto serve = [&](int fd) {
    const Loop::Round round(loop());
    loop().service_descriptor(fd);
  };
  serve(speaker.channel().fd());
  EXPECT_EQ(take_log(), (Log{"input:a"}));
  EXPECT_TRUE(is_readable(own_fd));
  serve(own_fd);
  EXPECT_EQ(take_log(), (Log{"input:b"}));
}

TEST_F(LoopTest, ServiceWorksBesideAnOuterLoop) {
  open_announcing(false);
  FakeSpeaker speaker(loop(), log);
  EXPECT_FALSE(loop().has_own_loop());
  write_all(speaker.far.get(), "a");
  loop().service(-1);
  EXPECT_TRUE(loop().has_own_loop());
  EXPECT_EQ(log, (Log{"input:a"}));
}

TEST_F(LoopTest, AnnouncesOneForAll) {
  open_announcing(true);
  const int own_fd = *loop().poll_descriptor();
  FakeSpeaker speaker(loop(), log);
  EXPECT_EQ(observer.take_events(), (Log{plus(own_fd)}));
  write_all(speaker.far.get(), "a");
  EXPECT_TRUE(is_readable(own_fd));
  {
    const Loop::Round round(loop());
    EXPECT_EQ(loop().service_descriptor(own_fd), nullptr);
  }
  EXPECT_EQ(log, (Log{"input:a"}));
  loop().close();
  EXPECT_EQ(observer.take_events(), (Log{minus(own_fd)}));
}

TEST_F(LoopTest, OneThatIsAbandonedSaysNothingToItsObserver) {
  open_announcing(true);
  observer.take_events();
  loop().abandon();
  loop().close();
  EXPECT_EQ(observer.take_events(), Log{});
  EXPECT_FALSE(loop().has_own_loop());
}

// --- Descriptors ---

TEST_F(LoopTest, FindsWhatWasAdded) {
  const SocketPair pair = local_pair();
  FakePollable pollable(pair.near.get(), log);
  EXPECT_EQ(loop().find(pollable.fd()), nullptr);
  loop().add(pollable);
  EXPECT_EQ(loop().find(pollable.fd()), &pollable);
  EXPECT_EQ(loop().find(-1), nullptr);
  EXPECT_EQ(loop().find(1'000'000), nullptr);
  EXPECT_TRUE(loop().watch(pollable, kReadable));
  loop().remove(pollable);
  EXPECT_EQ(loop().find(pollable.fd()), nullptr);
  EXPECT_EQ(pollable.interest(), 0U);
  write_all(pair.far.get(), "a");
  loop().service(0);
  EXPECT_EQ(log, Log{});
}

TEST_F(LoopTest, ANewOwnLoopWatchesEverythingAgain) {
  FakeSpeaker speaker(loop(), log);
  const SocketPair pair = local_pair();
  FakePollable internal(pair.near.get(), log, "internal");
  internal.action = [&] { read_exactly(pair.near.get(), 1); };
  ASSERT_TRUE(loop().watch_internal(internal));
  ASSERT_FALSE(loop().open_own_loop(true));
  write_all(speaker.far.get(), "a");
  loop().service(-1);
  write_all(pair.far.get(), "b");
  loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"input:a", "internal ready to read"}));
  loop().unwatch_internal(internal);
  write_all(pair.far.get(), "c");
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(LoopTest, AnOwnLoopThatCannotBeMadeIsAnError) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  const Error error = loop().open_own_loop(true);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_NE(error.code, 0);
}

TEST_F(LoopTest, AnUnknownDriverIsAnError) {
  LoopOptions options;
  options.driver = "none";
  Loop other(options, owner);
  EXPECT_NE(other.open().text.find("none"), std::string::npos);
}

// --- Memory ---

TEST_F(LoopTest, ShedsTheLargestFirstUntilThereIsRoom) {
  LoopOptions options;
  options.max_memory_bytes = 100'000;
  open(options);
  FakeSpeaker small(loop(), log, "small");
  FakeSpeaker largest(loop(), log, "largest");
  FakeSpeaker large(loop(), log, "large");
  small.append(std::string(20'000, 'x'));
  largest.append(std::string(60'000, 'x'));
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
  large.append(std::string(50'000, 'x'));
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"largest shed", "largest closed", "largest released"}));
  EXPECT_LE(loop().memory().used(), 87'500U);
}

TEST_F(LoopTest, ShedsNobodyElseWhenOneThatLingersHasGivenUpItsInput) {
  LoopOptions options;
  options.max_memory_bytes = 100'000;
  open(options);
  FakeSpeaker other(loop(), log, "other");
  FakeSpeaker largest(loop(), log, "largest");
  other.append(std::string(20'000, 'x'));
  largest.state.holds_bytes = true;
  largest.held = 90'000;
  largest.during_shed = [&] {
    largest.channel().drain(Channel::Linger::kUntilPeerEnds);
    largest.held = 0;
  };
  write_all(largest.far.get(), "x");
  settle();
  EXPECT_EQ(take_log(), (Log{"largest input:x", "largest shed"}));
  EXPECT_LE(loop().memory().used(), 25'000U);
}

TEST_F(LoopTest, ShedsTheOneWhoseHandlerHoldsOutputBack) {
  LoopOptions options;
  options.max_memory_bytes = 100'000;
  open(options);
  FakeSpeaker other(loop(), log, "other");
  FakeSpeaker holder(loop(), log, "holder");
  other.append(std::string(20'000, 'x'));
  holder.held_output = 90'000;
  loop().memory().add(90'000);
  holder.during_shed = [&] {
    holder.held_output = 0;
    loop().memory().remove(90'000);
    holder.channel().close();
  };
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"holder shed", "holder closed", "holder released"}));
}

TEST_F(LoopTest, WhatLeavesAtOnceDoesNotCountAsMemory) {
  LoopOptions options;
  options.max_memory_bytes = 10'000;
  open(options);
  FakeSpeaker speaker(loop(), log);
  {
    const Loop::Round round(loop());
    speaker.say(std::string(20'000, 'x'));
  }
  EXPECT_EQ(log, (Log{"sent all"}));
}

}  // namespace
}  // namespace websockets
