// SPDX-License-Identifier: MIT
#include "net/driver.h"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "net/drivers/epoll_driver.h"
#include "socket_pairs.h"

namespace websockets {
namespace {

class TestPollable final : public Pollable {
 public:
  explicit TestPollable(SocketPair pair) : Pollable(pair.near.get()), pair_(std::move(pair)) {}
  void on_ready(unsigned) override {}
  int far() const { return pair_.far.get(); }
  void make_readable() const { write_all(far(), "x"); }
  void drain() const { EXPECT_EQ(read_exactly(fd(), 1), "x"); }
  void reset_by_peer() { close_with_reset(pair_.far); }

 private:
  SocketPair pair_;
};

class DriverTest : public testing::TestWithParam<const char*> {
 protected:
  using Reports = std::map<const Pollable*, unsigned>;

  // What is reported without waiting; each at most once.
  Reports reports(std::size_t room = 64) {
    std::vector<Ready> ready(room);
    const int count = driver_->wait(ready, 0);
    EXPECT_GE(count, 0);
    Reports found;
    for (int i = 0; i < count; ++i) {
      const Ready& report = ready[static_cast<std::size_t>(i)];
      EXPECT_TRUE(found.emplace(report.pollable, report.events).second);
    }
    return found;
  }

  // By pointer: a driver keeps the address.
  std::unique_ptr<TestPollable> added(unsigned interest) {
    auto pollable = std::make_unique<TestPollable>(local_pair());
    EXPECT_TRUE(driver_->add(*pollable, interest));
    return pollable;
  }

  std::vector<std::unique_ptr<TestPollable>> several_added(std::size_t count, unsigned interest) {
    std::vector<std::unique_ptr<TestPollable>> pollables(count);
    for (auto& pollable : pollables) pollable = added(interest);
    return pollables;
  }

  std::unique_ptr<Driver> driver_ = make_driver(GetParam());
};

TEST_P(DriverTest, WaitsForNothing) {
  std::array<Ready, 4> ready;
  EXPECT_EQ(driver_->wait(ready, 0), 0);
  EXPECT_EQ(driver_->wait(ready, 1), 0);
  const auto pollable = added(kReadable);
  EXPECT_EQ(driver_->wait(ready, 0), 0);
  EXPECT_EQ(driver_->wait(ready, 1), 0);
}

TEST_P(DriverTest, ReportsWhatItWasAskedFor) {
  const auto reader = added(kReadable);
  const auto writer = added(kWritable);
  const auto both = added(kReadable | kWritable);
  const auto none = added(0);
  EXPECT_EQ(reports(), (Reports{{writer.get(), kWritable}, {both.get(), kWritable}}));
  for (const auto* pollable : {reader.get(), writer.get(), both.get(), none.get()}) pollable->make_readable();
  const Reports all{{reader.get(), kReadable}, {writer.get(), kWritable}, {both.get(), kReadable | kWritable}};
  EXPECT_EQ(reports(), all);
  EXPECT_EQ(reports(), all) << "is level-triggered";
  reader->drain();
  both->drain();
  EXPECT_EQ(reports(), (Reports{{writer.get(), kWritable}, {both.get(), kWritable}}));
}

TEST_P(DriverTest, WakesWithoutALimitOnTime) {
  const auto pollable = added(kReadable);
  pollable->make_readable();
  std::array<Ready, 4> ready;
  ASSERT_EQ(driver_->wait(ready, -1), 1);
  EXPECT_EQ(ready[0].pollable, pollable.get());
  EXPECT_EQ(ready[0].events, kReadable);
}

TEST_P(DriverTest, ModifiesTheInterest) {
  const auto pollable = added(kReadable);
  pollable->make_readable();
  driver_->modify(*pollable, kWritable);
  EXPECT_EQ(reports(), (Reports{{pollable.get(), kWritable}}));
  driver_->modify(*pollable, 0);
  EXPECT_EQ(reports(), Reports());
  driver_->modify(*pollable, kReadable);
  EXPECT_EQ(reports(), (Reports{{pollable.get(), kReadable}}));
}

TEST_P(DriverTest, ReportsAHangupWithoutBeingAsked) {
  TestPollable pollable(tcp_pair());
  ASSERT_TRUE(driver_->add(pollable, 0));
  EXPECT_EQ(reports(), Reports());
  pollable.reset_by_peer();
  std::array<Ready, 4> ready;
  ASSERT_EQ(driver_->wait(ready, -1), 1);
  EXPECT_EQ(ready[0].pollable, &pollable);
  EXPECT_EQ(ready[0].events, kHangup);
  driver_->modify(pollable, kReadable);
  EXPECT_EQ(reports(), (Reports{{&pollable, kReadable | kHangup}}));
}

TEST_P(DriverTest, ReportsTheEndOfTheOtherSideAsReadable) {
  const auto pollable = added(kReadable);
  ASSERT_EQ(::shutdown(pollable->far(), SHUT_WR), 0);
  EXPECT_EQ(reports(), (Reports{{pollable.get(), kReadable}}));
}

TEST_P(DriverTest, DoesNotReportWhatWasRemoved) {
  const auto pollable = added(kReadable);
  pollable->make_readable();
  driver_->remove(*pollable);
  EXPECT_EQ(reports(), Reports());
  ASSERT_TRUE(driver_->add(*pollable, kReadable));
  EXPECT_EQ(reports(), (Reports{{pollable.get(), kReadable}}));
}

TEST_P(DriverTest, KnowsTheOthersAfterARemoval) {
  const auto pollables = several_added(4, 0);
  // The last one takes the place of the first one, the next the place of the next.
  driver_->remove(*pollables[0]);
  driver_->modify(*pollables[3], kWritable);
  EXPECT_EQ(reports(), (Reports{{pollables[3].get(), kWritable}}));
  driver_->remove(*pollables[3]);
  driver_->modify(*pollables[2], kWritable);
  EXPECT_EQ(reports(), (Reports{{pollables[2].get(), kWritable}}));
  ASSERT_TRUE(driver_->add(*pollables[0], kWritable));
  driver_->remove(*pollables[2]);
  driver_->modify(*pollables[1], kWritable);
  EXPECT_EQ(reports(), (Reports{{pollables[0].get(), kWritable}, {pollables[1].get(), kWritable}}));
  driver_->remove(*pollables[0]);
  driver_->remove(*pollables[1]);
  EXPECT_EQ(reports(), Reports());
}

// Adding it may have failed.
TEST_P(DriverTest, IgnoresWhatItDoesNotWatch) {
  const auto watched = added(kWritable);
  TestPollable other(local_pair());
  driver_->modify(other, kReadable);
  driver_->remove(other);
  EXPECT_EQ(reports(), (Reports{{watched.get(), kWritable}}));
}

TEST_P(DriverTest, LetsOthersBeRemovedAndAddedDuringARound) {
  auto first = added(kWritable);
  auto second = added(kWritable);
  const auto third = added(kWritable);
  std::array<Ready, 8> ready;
  ASSERT_EQ(driver_->wait(ready, 0), 3);
  driver_->remove(*second);
  const auto fourth = added(kWritable);
  driver_->remove(*first);
  // The reports of this round still point to objects; only when it is over may these go, and their numbers come again.
  second.reset();
  first.reset();
  const auto fifth = added(kWritable);
  EXPECT_EQ(reports(), (Reports{{third.get(), kWritable}, {fourth.get(), kWritable}, {fifth.get(), kWritable}}));
}

TEST_P(DriverTest, StarvesNobodyWhenThereIsLittleRoom) {
  const auto pollables = several_added(10, kWritable);
  for (const std::size_t room : {std::size_t{1}, std::size_t{3}, std::size_t{7}}) {
    std::map<const Pollable*, std::size_t> counts;
    for (std::size_t round = 0; round < 10; ++round) {
      const Reports found = reports(room);
      EXPECT_EQ(found.size(), room);
      for (const auto& [pollable, events] : found) ++counts[pollable];
    }
    EXPECT_EQ(counts.size(), 10U);
    for (const auto& [pollable, count] : counts) EXPECT_EQ(count, room);
  }
}

TEST_P(DriverTest, StarvesNobodyWhileOthersComeAndGo) {
  const auto patient = added(kWritable);
  auto others = several_added(5, kWritable);
  std::mt19937 random(1);
  int times = 0;
  for (int round = 0; round < 200; ++round) {
    times += static_cast<int>(reports(2).count(patient.get()));
    auto& other = others[random() % others.size()];
    driver_->remove(*other);
    other = added(kWritable);
  }
  EXPECT_GT(times, 10);
}

TEST_P(DriverTest, AgreesWithAList) {
  std::mt19937 random(1);
  struct Entry {
    std::unique_ptr<TestPollable> pollable;
    unsigned interest = 0;
    bool is_readable = false;
  };
  std::vector<Entry> entries;
  for (int step = 0; step < 2000 && !HasFailure(); ++step) {
    if (entries.empty() || (entries.size() < 30 && random() % 4 == 0)) {
      const unsigned interest = random() % 4;
      entries.push_back({added(interest), interest});
    }
    Entry& entry = entries[random() % entries.size()];
    switch (random() % 3) {
      case 0:
        entry.interest = random() % 4;
        driver_->modify(*entry.pollable, entry.interest);
        break;
      case 1:
        entry.is_readable ? entry.pollable->drain() : entry.pollable->make_readable();
        entry.is_readable = !entry.is_readable;
        break;
      default:
        driver_->remove(*entry.pollable);
        if (&entry != &entries.back()) std::swap(entry, entries.back());
        entries.pop_back();
        break;
    }
    Reports expected;
    for (const Entry& each : entries) {
      const unsigned events = each.interest & (each.is_readable ? kReadable | kWritable : kWritable);
      if (events != 0) expected[each.pollable.get()] = events;
    }
    EXPECT_EQ(reports(), expected) << "step " << step;
  }
}

void do_nothing(int) {}

TEST_P(DriverTest, SaysThatASignalCame) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = do_nothing;
  ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
  // Again and again, since one may come before the wait.
  const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 5000}, .it_value = {.tv_sec = 0, .tv_usec = 5000}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
  const auto pollable = added(kReadable);
  std::array<Ready, 4> ready;
  EXPECT_EQ(driver_->wait(ready, -1), -1);
  const itimerval never{};
  EXPECT_EQ(::setitimer(ITIMER_REAL, &never, nullptr), 0);
  EXPECT_EQ(::sigaction(SIGALRM, &before, nullptr), 0);
}

std::string name_of(const testing::TestParamInfo<const char*>& info) { return info.param; }

#ifdef WEBSOCKETS_HAVE_EPOLL
INSTANTIATE_TEST_SUITE_P(Each, DriverTest, testing::Values("epoll", "poll"), name_of);
#else
INSTANTIATE_TEST_SUITE_P(Each, DriverTest, testing::Values("poll"), name_of);
#endif

TEST(MakeDriver, KnowsTheBestOneAndTheirNames) {
  EXPECT_NE(make_driver(""), nullptr);
  EXPECT_NE(make_driver("poll"), nullptr);
  EXPECT_EQ(make_driver("Poll"), nullptr);
  EXPECT_EQ(make_driver("kqueue"), nullptr);
}

}  // namespace
}  // namespace websockets
