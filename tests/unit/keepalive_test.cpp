// SPDX-License-Identifier: MIT
#include "websocket/keepalive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace websockets {
namespace {

using Action = Keepalive::Action;

constexpr std::uint64_t kDay = 24 * 60 * 60 * 1000;
constexpr KeepaliveRules kUsual{.ping_interval_ms = 50, .idle_timeout_ms = 120};

// A peer, and a loop that checks it when it is due.
struct Watch {
  explicit Watch(const KeepaliveRules& given, std::uint64_t start_ms = 0) : rules(given), now_ms(start_ms) {
    keepalive.begin(now_ms);
    schedule();
  }
  void schedule() {
    const std::optional<std::uint64_t> wait = keepalive.wait_ms(rules, now_ms);
    due_ms = wait ? now_ms + *wait : UINT64_MAX;
  }
  void check() {
    const Action action = keepalive.check(rules, now_ms);
    if (action == Action::kPing) pings.push_back(now_ms);
    if (action == Action::kEnd) end_ms = now_ms;
    if (action != Action::kEnd) schedule();
  }
  // Everything that is due comes in time.
  void run_until(std::uint64_t time_ms) {
    while (end_ms == 0 && due_ms <= time_ms) {
      now_ms = due_ms;
      check();
    }
    now_ms = time_ms;
  }
  // Nothing does, until then.
  void stand_still_until(std::uint64_t time_ms) {
    now_ms = time_ms;
    if (due_ms <= now_ms) check();
  }
  void hear() { keepalive.note_received(now_ms); }

  KeepaliveRules rules;
  Keepalive keepalive;
  std::uint64_t now_ms;
  std::uint64_t due_ms = 0;
  std::uint64_t end_ms = 0;
  std::vector<std::uint64_t> pings;
};

using Times = std::vector<std::uint64_t>;

TEST(KeepaliveTest, PingsASilentPeerAndEndsIt) {
  for (const std::uint64_t start : {std::uint64_t{0}, (std::uint64_t{1} << 31U) - 70, (std::uint64_t{1} << 32U) - 70}) {
    Watch watch(kUsual, start);
    watch.run_until(start + 1000);
    EXPECT_EQ(watch.pings, Times({start + 50, start + 100}));
    EXPECT_EQ(watch.end_ms, start + 120);
  }
}

TEST(KeepaliveTest, CountsFromWhatWasHeardLast) {
  Watch watch(kUsual);
  watch.run_until(60);
  watch.hear();
  watch.run_until(1000);
  EXPECT_EQ(watch.pings, Times({50, 110, 160}));
  EXPECT_EQ(watch.end_ms, 180U);
}

TEST(KeepaliveTest, KeepsAPeerThatAnswers) {
  Watch watch(kUsual);
  for (std::uint64_t time = 51; time < 10'000; time += 51) {
    watch.run_until(time);
    watch.hear();
  }
  EXPECT_EQ(watch.end_ms, 0U);
  EXPECT_EQ(watch.pings.size(), 196U);
}

TEST(KeepaliveTest, AsksFirstWhereTheProcessStoodStill) {
  for (const std::uint64_t stand_still : {60, 130, 5000}) {
    Watch watch(kUsual);
    watch.run_until(40);
    watch.stand_still_until(40 + stand_still);
    ASSERT_EQ(watch.end_ms, 0U) << stand_still;
    EXPECT_EQ(watch.pings, Times({40 + stand_still}));
    Watch answering = watch;
    answering.now_ms += 1;
    answering.hear();
    answering.run_until(answering.now_ms + 119);
    EXPECT_EQ(answering.end_ms, 0U);
    watch.run_until(10'000);
    EXPECT_EQ(watch.end_ms, std::max<std::uint64_t>(40 + stand_still + 70, 120)) << stand_still;
  }
}

TEST(KeepaliveTest, AsksAgainAfterAnAnswer) {
  Watch watch(kUsual);
  watch.run_until(55);
  watch.hear();  // the answer to the ping
  watch.stand_still_until(1000);
  EXPECT_EQ(watch.pings, Times({50, 1000}));
  EXPECT_EQ(watch.end_ms, 0U);
  watch.run_until(10'000);
  EXPECT_EQ(watch.end_ms, 1070U);
}

TEST(KeepaliveTest, EndsWhoHasNotAnsweredWhenTheProcessStoodStill) {
  Watch watch(kUsual);
  watch.run_until(90);
  watch.stand_still_until(1000);
  EXPECT_EQ(watch.end_ms, 1000U);
}

TEST(KeepaliveTest, CanDoWithoutPings) {
  Watch watch({.ping_interval_ms = 0, .idle_timeout_ms = 120});
  watch.run_until(119);
  EXPECT_EQ(watch.end_ms, 0U);
  watch.run_until(1000);
  EXPECT_EQ(watch.end_ms, 120U);
  EXPECT_TRUE(watch.pings.empty());
}

TEST(KeepaliveTest, AsksInTimeWhereThePingIntervalIsTooLong) {
  for (const std::uint64_t interval : {61, 119, 120, 200, 50'000}) {
    Watch watch({.ping_interval_ms = interval, .idle_timeout_ms = 120});
    watch.run_until(1000);
    EXPECT_EQ(watch.pings, Times({60})) << interval;
    EXPECT_EQ(watch.end_ms, 120U) << interval;
  }
  for (const std::uint64_t idle : {1, 2, 3}) {
    Watch watch({.ping_interval_ms = 50, .idle_timeout_ms = idle});
    watch.run_until(1000);
    ASSERT_FALSE(watch.pings.empty()) << idle;  // of 3 ms half is 1: two fit
    EXPECT_GT(watch.end_ms, watch.pings[0]) << idle;
  }
}

TEST(KeepaliveTest, CanDoWithoutAnEnd) {
  Watch watch({.ping_interval_ms = kDay, .idle_timeout_ms = 0});
  watch.run_until(200 * kDay);
  EXPECT_EQ(watch.end_ms, 0U);
  EXPECT_EQ(watch.pings.size(), 200U);  // also after 2^31 ms, which are 24.9 days, and after 2^32
  Watch off({.ping_interval_ms = 0, .idle_timeout_ms = 0});
  EXPECT_EQ(off.due_ms, UINT64_MAX);
}

TEST(KeepaliveTest, TakesTheLongestTimes) {
  Watch watch({.ping_interval_ms = 1'000'000'000, .idle_timeout_ms = 0});
  watch.run_until(10'500'000'000);
  EXPECT_GE(watch.pings.size(), 9U);
  Watch idle({.ping_interval_ms = 1'000'000, .idle_timeout_ms = 1'000'000'000});
  idle.run_until(2'000'000'000);
  EXPECT_EQ(idle.end_ms, 1'000'000'000U);
}

TEST(KeepaliveTest, MayHearOfThePeerLaterThanNow) {
  Watch watch(kUsual, 1000);
  watch.run_until(1040);
  watch.keepalive.note_received(1060);
  watch.run_until(1050);
  EXPECT_TRUE(watch.pings.empty());
  watch.run_until(2000);
  EXPECT_EQ(watch.end_ms, 1180U);
}

TEST(KeepaliveTest, MayHearOfThePeerEarlierThanItsBeginning) {
  Watch watch(kUsual, 1000);
  watch.keepalive.note_received(995);
  watch.stand_still_until(5000);
  EXPECT_EQ(watch.pings, Times({5000}));
  EXPECT_EQ(watch.end_ms, 0U);
}

}  // namespace
}  // namespace websockets
