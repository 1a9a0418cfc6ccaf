// SPDX-License-Identifier: MIT
#include "cluster/worker_backplane.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "cluster/delivery_budget.h"
#include "cluster/worker_rings.h"
#include "failing_allocations.h"
#include "fake_pollable.h"
#include "fake_receiver.h"
#include "forked.h"
#include "loop_fixture.h"
#include "server/hub.h"
#include "server/options.h"

namespace websockets {
namespace {

using Got = FakeReceiver::Got;

constexpr std::size_t kMostBytes = WorkerRings::kTopicBytes;  // of a message, where max_message_size is 0

// A worker without clients: one receiver of each subprotocol, subscribed to "news".
class FakeWorker final : private WorkerBackplaneOwner {
 public:
  FakeWorker(WorkerRings& rings, std::size_t slot) : backplane(rings, slot, hub, loop, *this) {
    hub.join(chat, hub.subprotocols()[0]);
    hub.join(echo, hub.subprotocols()[1]);
    hub.subscribe(chat, "news");
    is_open = !loop.open() && backplane.open();
  }

  // What a worker does again and again; it does not wait.
  void serve() {
    loop.service(0);
    backplane.deliver();
  }
  void settle() {
    do {
      serve();
    } while (backplane.has_more());
  }
  Got take_got() { return std::exchange(chat.got, {}); }
  DeliveryStatus publish(std::string_view data) { return hub.publish("news", Opcode::kText, as_bytes(data)).status; }

  FakeReceiver chat, echo;
  FakeHub fake;
  Hub& hub = fake.hub;
  FakeLoopOwner loop_owner;
  Loop loop{{}, loop_owner};
  std::vector<std::size_t> gaps;
  std::function<void()> during_gap = [] {};
  WorkerBackplane backplane;
  bool is_open = false;

 private:
  void on_gap(std::size_t slot) override {
    EXPECT_TRUE(loop.in_round());
    gaps.push_back(slot);
    during_gap();
  }
};

class WorkerBackplaneTest : public ::testing::Test {
 protected:
  void SetUp() override { make(3); }
  void make(std::size_t count) {
    workers.clear();
    auto made = WorkerRings::create(count, 0);
    ASSERT_TRUE(made);
    rings = std::move(*made);
    for (std::size_t slot = 0; slot < count; ++slot) {
      workers.push_back(std::make_unique<FakeWorker>(*rings, slot));
      ASSERT_TRUE(workers[slot]->is_open);
      workers[slot]->settle();
    }
  }
  void replace(std::size_t slot) {
    rings->recover(slot);
    workers[slot].reset();
    workers[slot] = std::make_unique<FakeWorker>(*rings, slot);
  }

  std::unique_ptr<WorkerRings> rings;
  std::vector<std::unique_ptr<FakeWorker>> workers;
};

TEST_F(WorkerBackplaneTest, ReachesEverybodyOnce) {
  FakeWorker& sender = *workers[1];
  EXPECT_EQ(sender.hub.broadcast(sender.hub.subprotocols()[1], as_bytes("1")), DeliveryStatus::kDelivered);
  const Hub::Published published = sender.hub.publish("news", Opcode::kBinary, as_bytes("2"));
  EXPECT_EQ(published.status, DeliveryStatus::kDelivered);
  EXPECT_EQ(published.receivers, 1U);  // of this worker
  EXPECT_EQ(sender.hub.publish("other", Opcode::kText, as_bytes("3")).receivers, 0U);
  for (int i = 0; i < 2; ++i) {
    for (const auto& worker : workers) {
      worker->settle();
      EXPECT_EQ(worker->echo.got, Got{"t:1"});
      EXPECT_EQ(worker->chat.got, Got{"b:2"});
      EXPECT_EQ(worker->gaps.size(), 0U);
    }
  }
}

TEST_F(WorkerBackplaneTest, LeavesOutAReceiverInTheSendersWorkerOnly) {
  workers[0]->hub.publish("news", Opcode::kText, as_bytes("1"), &workers[0]->chat);
  for (const auto& worker : workers) worker->settle();
  EXPECT_EQ(workers[0]->chat.got, Got{});
  EXPECT_EQ(workers[1]->chat.got, Got{"t:1"});
}

TEST_F(WorkerBackplaneTest, WorksWithOneWorker) {
  make(1);
  EXPECT_FALSE(workers[0]->backplane.has_more());
  EXPECT_EQ(workers[0]->publish("1"), DeliveryStatus::kDelivered);
  workers[0]->settle();
  EXPECT_EQ(workers[0]->take_got(), Got{"t:1"});
}

TEST_F(WorkerBackplaneTest, TellsThatAMessageIsTooLargeBeforeAnybodyHasIt) {
  const std::string large(kMostBytes, 'x');
  EXPECT_EQ(workers[0]->publish(large), DeliveryStatus::kTooLarge);  // with the topic
  const Subprotocol& subprotocol = workers[0]->hub.subprotocols()[0];
  EXPECT_EQ(workers[0]->hub.broadcast(subprotocol, as_bytes(large + "x")), DeliveryStatus::kTooLarge);
  workers[1]->settle();
  EXPECT_EQ(workers[0]->take_got(), Got{});
  EXPECT_EQ(workers[1]->take_got(), Got{});
  EXPECT_EQ(workers[0]->hub.broadcast(subprotocol, as_bytes(large)), DeliveryStatus::kDelivered);
  workers[1]->settle();
  EXPECT_EQ(workers[1]->take_got(), Got{"t:" + large});
}

// What a callback sends meanwhile comes behind what it was called for, in all workers.
TEST_F(WorkerBackplaneTest, KeepsTheOrderOfWhatACallbackSends) {
  for (const auto& worker : workers) worker->chat.set_broadcast_mode(BroadcastMode::kCallback);
  workers[0]->chat.callback = [&] {
    workers[0]->publish("2");
    return true;
  };
  workers[0]->hub.broadcast(workers[0]->hub.subprotocols()[0], as_bytes("1"));
  workers[1]->settle();
  EXPECT_EQ(workers[0]->take_got(), (Got{"c:1", "t:2"}));
  EXPECT_EQ(workers[1]->take_got(), (Got{"c:1", "t:2"}));
}

TEST_F(WorkerBackplaneTest, IsWokenOnceForWhatComesInARow) {
  FakeWorker& worker = *workers[0];
  EXPECT_FALSE(worker.backplane.has_more());
  workers[1]->publish("1");
  workers[2]->publish("2");
  EXPECT_TRUE(is_readable(worker.backplane.fd()));
  worker.loop.service(0);
  EXPECT_TRUE(worker.backplane.has_more());
  rings->clear_wake(0);
  workers[1]->publish("3");
  EXPECT_FALSE(is_readable(worker.backplane.fd()));
  worker.backplane.deliver();
  EXPECT_FALSE(worker.backplane.has_more());
  EXPECT_EQ(worker.take_got(), (Got{"t:1", "t:2", "t:3"}));
  workers[1]->publish("4");
  EXPECT_TRUE(is_readable(worker.backplane.fd()));
}

TEST_F(WorkerBackplaneTest, DoesNotKeepACallbackAwakeThatServesTheLoop) {
  FakeWorker& worker = *workers[0];
  worker.chat.set_broadcast_mode(BroadcastMode::kCallback);
  int services = 0;
  worker.chat.callback = [&] {
    EXPECT_TRUE(is_readable(worker.backplane.fd()));
    for (; is_readable(worker.backplane.fd()) && services < 10; ++services) worker.loop.service(0);
    workers[2]->publish("2");
    EXPECT_FALSE(is_readable(worker.backplane.fd()));
    return true;
  };
  workers[1]->hub.broadcast(workers[1]->hub.subprotocols()[0], as_bytes("1"));
  worker.serve();
  EXPECT_EQ(services, 1);
  EXPECT_FALSE(worker.backplane.has_more());
  EXPECT_EQ(worker.take_got(), (Got{"c:1", "t:2"}));
  workers[2]->publish("3");
  EXPECT_TRUE(is_readable(worker.backplane.fd()));
}

TEST_F(WorkerBackplaneTest, DeliversNothingWithinARound) {
  FakeWorker& worker = *workers[0];
  workers[1]->publish("1");
  worker.loop.service(0);
  {
    const Loop::Round round(worker.loop);
    worker.backplane.deliver();
    EXPECT_EQ(worker.take_got(), Got{});
  }
  EXPECT_TRUE(worker.backplane.has_more());
  worker.backplane.deliver();
  EXPECT_EQ(worker.take_got(), Got{"t:1"});
}

TEST_F(WorkerBackplaneTest, DeliversSoManyMessagesAtATimeAndTakesTurns) {
  FakeWorker& worker = *workers[0];
  for (int i = 0; i < 2 * DeliveryBudget::kMessages; ++i) workers[1]->publish("1");
  workers[2]->publish("2");
  worker.serve();
  EXPECT_EQ(worker.chat.got.size(), static_cast<std::size_t>(DeliveryBudget::kMessages));
  EXPECT_EQ(std::count(worker.chat.got.begin(), worker.chat.got.end(), "t:2"), 1);
  EXPECT_TRUE(worker.backplane.has_more());
  worker.serve();
  EXPECT_TRUE(worker.backplane.has_more());
  worker.settle();
  EXPECT_EQ(worker.chat.got.size(), 2U * DeliveryBudget::kMessages + 1);
}

TEST_F(WorkerBackplaneTest, DeliversSoManyBytesAtATime) {
  auto made = WorkerRings::create(2, 4U << 20U);
  ASSERT_TRUE(made);
  FakeWorker sender(**made, 0);
  FakeWorker worker(**made, 1);
  worker.settle();
  const std::string message(700'000, 'x');
  for (int i = 0; i < 3; ++i) sender.publish(message);
  worker.serve();
  EXPECT_EQ(worker.take_got().size(), 2U);
  worker.serve();
  EXPECT_EQ(worker.take_got().size(), 1U);
}

TEST_F(WorkerBackplaneTest, TellsWhoHasSentTooMuch) {
  const std::string message(kMostBytes / 2, 'x');
  for (int i = 0; i < 20; ++i) workers[2]->publish(message);
  workers[2]->publish("newest");
  workers[1]->publish("1");
  workers[0]->settle();
  EXPECT_EQ(workers[0]->gaps, std::vector<std::size_t>{2});
  EXPECT_EQ(workers[0]->take_got(), (Got{"t:1", "t:newest"}));
  workers[0]->settle();
  EXPECT_EQ(workers[0]->gaps.size(), 1U);
}

TEST_F(WorkerBackplaneTest, EndsWithItsLoop) {
  for (int i = 0; i < 20; ++i) workers[1]->publish(std::string(kMostBytes / 2, 'x'));
  workers[0]->during_gap = [&] { workers[0]->loop.stop(); };
  workers[0]->serve();
  EXPECT_EQ(workers[0]->gaps.size(), 1U);
  EXPECT_EQ(workers[0]->take_got(), Got{});
}

TEST_F(WorkerBackplaneTest, LosesWhatItHasNoMemoryFor) {
  workers[1]->publish(std::string(kMostBytes / 2, 'x'));
  workers[0]->loop.service(0);
  {
    const FailingAllocation failing(1);
    workers[0]->backplane.deliver();
    EXPECT_TRUE(failing.has_failed());
  }
  EXPECT_EQ(workers[0]->gaps, std::vector<std::size_t>{1});
  workers[1]->publish("2");
  workers[0]->settle();
  EXPECT_EQ(workers[0]->take_got(), Got{"t:2"});
}

TEST_F(WorkerBackplaneTest, ReplacedWorkersBeginWithWhatComesNext) {
  workers[1]->publish("1");
  workers[0]->publish("2");
  replace(0);
  workers[0]->settle();
  EXPECT_EQ(workers[0]->take_got(), Got{});
  for (int i = 3; i < 5; ++i) {
    workers[i % 2 == 0 ? 1 : 0]->publish(std::to_string(i));
    for (const auto& worker : workers) worker->settle();
  }
  EXPECT_EQ(workers[0]->take_got(), (Got{"t:3", "t:4"}));
  EXPECT_EQ(workers[1]->take_got(), (Got{"t:1", "t:2", "t:3", "t:4"})) << "and nothing twice";
}

// The one before was woken, and died before it has looked.
TEST_F(WorkerBackplaneTest, ReplacedWorkersAreWoken) {
  workers[1]->publish("1");
  rings->clear_wake(0);
  replace(0);
  EXPECT_TRUE(workers[0]->backplane.has_more());
  workers[0]->settle();
  workers[1]->publish("2");
  EXPECT_TRUE(is_readable(workers[0]->backplane.fd()));
  workers[0]->settle();
  EXPECT_EQ(workers[0]->take_got(), Got{"t:2"});
}

TEST_F(WorkerBackplaneTest, LeavesTheHubWhenItEnds) {
  FakeWorker& worker = *workers[0];
  {
    struct Quiet final : WorkerBackplaneOwner {
      void on_gap(std::size_t) override {}
    } quiet;
    WorkerBackplane other(*rings, 1, worker.hub, worker.loop, quiet);
    ASSERT_TRUE(other.open());
  }
  EXPECT_EQ(worker.publish(std::string(2 * kMostBytes, 'x')), DeliveryStatus::kDelivered);  // nothing is asked
}

// Two workers that send to each other, each no further than so many messages in front of what it has received: a
// wake-up that is lost keeps both waiting.
class Exchange {
 public:
  static constexpr int kMessages = 100'000, kAtOnce = 50;

  Exchange() {
    auto made = WorkerRings::create(2, 0);
    if (made) rings_ = std::move(*made);
    for (auto& pipe : listening_) is_good_ = is_good_ && ::pipe(pipe.data()) == 0;
  }
  ~Exchange() {
    for (const auto& pipe : listening_) {
      for (const int end : pipe) ::close(end);
    }
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Whether the worker of this slot has got everything, once and in order.
  bool play(std::size_t slot) {
    if (rings_ == nullptr || !is_good_) return false;
    FakeWorker worker(*rings_, slot);
    char said = '!';
    if (!worker.is_open || ::write(listening_[slot][1], &said, 1) != 1) return false;
    if (::read(listening_[1 - slot][0], &said, 1) != 1) return false;
    bool is_good = true;
    for (int sent = 0, received = 0; is_good && (sent < kMessages || received < kMessages);) {
      const bool may_send = sent < kMessages && sent - received < kAtOnce;
      if (may_send) worker.hub.publish("news", Opcode::kText, as_bytes(std::to_string(sent++)), &worker.chat);
      const bool may_wait = received < kMessages && !may_send && !worker.backplane.has_more();
      worker.loop.service(may_wait ? -1 : 0);
      worker.backplane.deliver();
      for (const std::string& got : worker.take_got()) is_good = is_good && got == "t:" + std::to_string(received++);
    }
    return is_good && worker.gaps.empty();
  }

 private:
  std::unique_ptr<WorkerRings> rings_;
  std::array<std::array<int, 2>, 2> listening_{};  // each tells the other one by a byte
  bool is_good_ = true;
};

TEST(WorkerBackplanes, CarryAHundredThousandMessagesBetweenTwoProcesses) {
  Exchange exchange;
  const pid_t child = ::fork();
  if (child == 0) run_in_child([&] { return exchange.play(1); });
  ASSERT_GT(child, 0);
  EXPECT_TRUE(exchange.play(0));
  EXPECT_TRUE(has_succeeded(child));
}

TEST(WorkerBackplanes, CarryAHundredThousandMessagesBetweenTwoThreads) {
  Exchange exchange;
  bool is_good = false;
  std::thread other([&] { is_good = exchange.play(1); });
  EXPECT_TRUE(exchange.play(0));
  other.join();
  EXPECT_TRUE(is_good);
}

// There is one message at a time: if nobody is woken for it, both wait for ever. The next one comes just as the one who
// has answered is about to wait.
TEST(WorkerBackplanes, LoseNoWakeUp) {
  constexpr int kMessages = 20'000;
  auto rings = WorkerRings::create(2, 0);
  ASSERT_TRUE(rings);
  FakeWorker asking(**rings, 0);
  std::array<int, 2> listening{};
  ASSERT_EQ(::pipe(listening.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      FakeWorker answering(**rings, 1);
      std::mt19937 random(1);
      int answers = 0;
      answering.chat.set_broadcast_mode(BroadcastMode::kCallback);
      answering.chat.callback = [&] {
        answering.hub.publish("answers", Opcode::kText, as_bytes(std::to_string(answers++)));
        const std::uint64_t steps = random() % 4096;
        for (std::atomic<std::uint64_t> step{0}; step < steps; ++step) {
        }
        return true;
      };
      if (!answering.is_open || ::write(listening[1], "!", 1) != 1) return false;
      while (answers < kMessages) {
        answering.loop.service(answering.backplane.has_more() ? 0 : -1);
        answering.backplane.deliver();
        answering.chat.got.clear();
      }
      return answering.gaps.empty();
    });
  }
  ASSERT_GT(child, 0);
  char said = 0;
  ASSERT_EQ(::read(listening[0], &said, 1), 1);
  asking.hub.unsubscribe(asking.chat, "news");
  asking.hub.subscribe(asking.chat, "answers");
  for (int i = 0; i < kMessages; ++i) {
    asking.hub.broadcast(asking.hub.subprotocols()[0], as_bytes("1"));
    asking.take_got();  // its own
    while (asking.chat.got.empty()) asking.serve();
    ASSERT_EQ(asking.take_got(), Got{"t:" + std::to_string(i)});
  }
  EXPECT_TRUE(has_succeeded(child));
  for (const int end : listening) ::close(end);
}

// What a worker gets of the others is in the order of who has sent it, nothing of it twice, and nothing is missing but
// where it was told of a gap. Takes "t:slot generation sequence", and "g:slot" for a gap.
class SequenceCheck {
 public:
  bool accepts(const std::string& message) {
    std::istringstream in(message.substr(2));
    std::size_t slot = 0;
    Place place;
    if (!(in >> slot) || slot >= places_.size()) return false;
    if (message.front() == 'g') {
      places_[slot].is_open = true;
      return true;
    }
    if (!(in >> place.generation >> place.sequence)) return false;
    Place& last = places_[slot];
    const bool is_next = place.generation == last.generation
                             ? place.sequence == last.sequence + 1
                             : place.generation > last.generation && place.sequence == 0;
    const bool is_later = std::pair(place.generation, place.sequence) > std::pair(last.generation, last.sequence);
    const bool is_good = last.is_open ? is_later : is_next;
    place.count = last.count + 1;
    last = place;
    return is_good;
  }
  void open(std::size_t slot) { places_[slot].is_open = true; }
  // Whether so many have come from each but `own`.
  bool has_heard(std::size_t own, int count) const {
    for (std::size_t slot = 0; slot < places_.size(); ++slot) {
      if (slot != own && places_[slot].count < count) return false;
    }
    return true;
  }

 private:
  struct Place {
    int generation = -1;
    int sequence = -1;
    int count = 0;
    bool is_open = false;  // whatever comes next may be further
  };
  std::array<Place, 3> places_;
};

// Publishes, and checks what it gets, until it is killed. Tells by a byte when it has heard the others.
bool publish_for_ever(WorkerRings& rings, std::size_t slot, int generation, int report) {
  FakeWorker worker(rings, slot);
  SequenceCheck check;
  for (std::size_t other = 0; other < rings.count(); ++other) check.open(other);  // they are in the middle of it
  worker.during_gap = [&] { worker.chat.got.push_back("g:" + std::to_string(worker.gaps.back())); };
  bool has_told = false;
  bool is_good = worker.is_open;
  for (int sequence = 0; is_good; ++sequence) {
    std::ostringstream message;
    message << slot << ' ' << generation << ' ' << sequence;
    worker.hub.publish("news", Opcode::kText, as_bytes(message.str()), &worker.chat);
    worker.loop.service(worker.backplane.has_more() ? 0 : sequence % 2);
    worker.backplane.deliver();
    for (const std::string& got : worker.take_got()) is_good = is_good && check.accepts(got);
    if (!has_told && check.has_heard(slot, 20)) has_told = ::write(report, "!", 1) == 1;
  }
  return ::write(report, "?", 1) != 1;
}

TEST(WorkerBackplanes, SurviveWorkersThatAreKilled) {
  constexpr int kRounds = 60;
  auto rings = WorkerRings::create(3, 0);
  ASSERT_TRUE(rings);
  std::array<int, 2> report{};
  ASSERT_EQ(::pipe(report.data()), 0);
  std::array<pid_t, 3> workers{};
  const auto start = [&](std::size_t slot, int generation) {
    workers[slot] = ::fork();
    if (workers[slot] == 0) run_in_child([&] { return publish_for_ever(**rings, slot, generation, report[1]); });
  };
  const auto was_killed = [&](std::size_t slot) {
    int status = 0;
    ::kill(workers[slot], SIGKILL);
    return ::waitpid(workers[slot], &status, 0) == workers[slot] && WIFSIGNALED(status);
  };
  char said = 0;
  for (std::size_t slot = 0; slot < workers.size(); ++slot) start(slot, 0);
  const auto is_well = [&] { return ::read(report[0], &said, 1) == 1 && said == '!'; };
  for (std::size_t slot = 0; slot < workers.size(); ++slot) ASSERT_TRUE(is_well());
  std::mt19937 random(5);
  for (int round = 1; round <= kRounds; ++round) {
    const std::size_t slot = random() % workers.size();
    ASSERT_TRUE(was_killed(slot));
    (*rings)->recover(slot);
    start(slot, round);
    ASSERT_TRUE(is_well());
  }
  for (std::size_t slot = 0; slot < workers.size(); ++slot) EXPECT_TRUE(was_killed(slot));
  for (const int end : report) ::close(end);
}

}  // namespace
}  // namespace websockets
