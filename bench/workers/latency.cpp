// SPDX-License-Identifier: MIT
//
// Usage: workers_latency [ROUNDS [MESSAGES]]
//
// How long a publish takes from one worker to the receivers of another one, next to what the system itself takes to
// wake a process. Two processes, each on a core of its own, answer each other: a latency is half the time of an
// exchange. The ways take turns, MESSAGES exchanges of each in each of the ROUNDS. Prints a Markdown table: the medians
// of the rounds, and the quartiles of their ratios to the bare eventfd.

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "cluster/worker_backplane.h"
#include "cluster/worker_rings.h"
#include "loop/loop.h"
#include "server/hub.h"
#include "server/options.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

// At first large messages, so that the rings have been gone round, as those of a worker that runs for long: before,
// each page that is touched for the first time takes a few microseconds.
constexpr int kWarmUp = 1000, kLargeMessages = 40;
constexpr std::size_t kMessageBytes = 20, kLargeBytes = 1U << 20U;
constexpr std::uint64_t kMaxMessageBytes = 16U << 20U;

std::size_t bytes_of(int number) { return number < kLargeMessages ? kLargeBytes : kMessageBytes; }

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One side of what two processes say to each other.
class Side {
 public:
  virtual ~Side() = default;
  virtual void say(std::size_t bytes) = 0;
  // Until the other one has said something; returns how long that took.
  virtual double wait_us() = 0;
};

// --- The system ---

// What both processes share: a descriptor that wakes each side, and when it was last sent something.
struct Events {
  Events()
      : sent_us(
            static_cast<double*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (sent_us == MAP_FAILED) std::abort();
    for (int& fd : fds) fd = ::eventfd(0, EFD_CLOEXEC);
  }
  ~Events() {
    for (const int fd : fds) ::close(fd);
    ::munmap(sent_us, 4096);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  double* sent_us;
  std::array<int, 2> fds{};
};

class BareSide : public Side {
 public:
  BareSide(const Events& events, std::size_t side)
      : own_(events.fds[side]), sent_us_(events.sent_us), side_(side), other_(events.fds[1 - side]) {}
  void say(std::size_t /*bytes*/) override {
    constexpr std::uint64_t kOne = 1;
    sent_us_[1 - side_] = now_us();
    if (::write(other_, &kOne, sizeof kOne) != sizeof kOne) std::abort();
  }
  double wait_us() override {
    std::uint64_t count;
    if (::read(own_, &count, sizeof count) != sizeof count) std::abort();
    return now_us() - sent_us_[side_];
  }

 protected:
  int own_;

 private:
  double* sent_us_;
  std::size_t side_;
  int other_;
};

class EpollSide final : public BareSide {
 public:
  EpollSide(const Events& events, std::size_t side) : BareSide(events, side), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{EPOLLIN, {}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, own_, &event);
  }
  ~EpollSide() override { ::close(epoll_); }
  double wait_us() override {
    epoll_event event;
    if (::epoll_wait(epoll_, &event, 1, -1) != 1) std::abort();
    return BareSide::wait_us();
  }

 private:
  int epoll_;
};

// --- The server ---

class QuietLoopOwner final : public LoopOwner {
 public:
  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_round_end() override {}
};

// A hub with one receiver, which is subscribed to a topic.
class HubSide : public Side, private ReceiverOwner {
 public:
  HubSide() {
    hub_.join(receiver_, hub_.subprotocols()[0]);
    hub_.subscribe(receiver_, kTopic);
  }
  void say(std::size_t bytes) override {
    message_.resize(bytes);
    const double sent_us = now_us();
    std::memcpy(message_.data(), &sent_us, sizeof sent_us);
    if (hub_.publish(kTopic, Opcode::kText, as_bytes(message_)).status != DeliveryStatus::kDelivered) std::abort();
  }
  double wait_us() override { return take_latency_us(); }

 protected:
  Hub& hub() { return hub_; }
  // Of what the receiver has got; below 0: nothing.
  double take_latency_us() { return std::exchange(latency_us_, -1); }

 private:
  struct OnlyReceiver final : Receiver {};

  static constexpr std::string_view kTopic = "news";

  static ContextOptions options() {
    ContextOptions made;
    made.protocols = {"chat"};
    return made;
  }
  WriteStatus send(Receiver&, PreparedMessage& message) override {
    double sent_us;
    std::memcpy(&sent_us, message.payload().data(), sizeof sent_us);
    latency_us_ = now_us() - sent_us;
    return WriteStatus::kAccepted;
  }
  bool on_broadcast(Receiver&, std::span<const std::uint8_t>) override { return true; }
  void defer_failure(Receiver&, CloseCode) override {}

  MemoryBudget memory_{0};
  OnlyReceiver receiver_;
  Hub hub_{options(), *this, memory_};
  std::string message_;
  double latency_us_ = -1;
};

class WorkerSide final : public HubSide, private WorkerBackplaneOwner {
 public:
  WorkerSide(WorkerRings& rings, std::size_t slot) : backplane_(rings, slot, hub(), loop_, *this) {
    if (loop_.open() || !backplane_.open()) std::abort();
    loop_.service(0);
    backplane_.deliver();
  }
  void say(std::size_t bytes) override {
    HubSide::say(bytes);
    take_latency_us();  // of its own receiver
  }
  double wait_us() override {
    for (;;) {
      loop_.service(backplane_.has_more() ? 0 : -1);
      backplane_.deliver();
      if (const double latency_us = take_latency_us(); latency_us >= 0) return latency_us;
    }
  }

 private:
  void on_gap(std::size_t) override { std::abort(); }

  QuietLoopOwner loop_owner_;
  Loop loop_{{}, loop_owner_};
  WorkerBackplane backplane_;
};

// --- Measuring ---

using MakeSide = std::function<std::unique_ptr<Side>(std::size_t side)>;

struct Latency {
  double median_us, p99_us;
};

void stay_on(std::size_t core) {
  cpu_set_t allowed, one;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<std::size_t> cores;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) cores.push_back(i);
  }
  CPU_ZERO(&one);
  CPU_SET(cores[core % cores.size()], &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

Latency latency_of(std::vector<double> times_us) {
  std::sort(times_us.begin(), times_us.end());
  return {times_us[times_us.size() / 2], times_us[times_us.size() * 99 / 100]};
}

Latency measure_exchange(const MakeSide& make, int messages) {
  std::array<int, 2> ready{};
  if (::pipe(ready.data()) != 0) std::abort();
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  stay_on(child == 0 ? 1 : 0);
  const std::unique_ptr<Side> side = make(child == 0 ? 1 : 0);
  char said = '!';
  if (child == 0) {
    if (::write(ready[1], &said, 1) != 1) ::_exit(1);
    for (int i = 0; i < kWarmUp + messages; ++i) {
      side->wait_us();
      side->say(bytes_of(i));
    }
    ::_exit(0);
  }
  if (::read(ready[0], &said, 1) != 1) std::abort();
  std::vector<double> times_us;
  for (int i = 0; i < kWarmUp + messages; ++i) {
    side->say(bytes_of(i));
    const double time_us = side->wait_us();
    if (i >= kWarmUp) times_us.push_back(time_us);
  }
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
  return latency_of(std::move(times_us));
}

Latency measure_within(int messages) {
  HubSide side;
  std::vector<double> times_us;
  for (int i = 0; i < kWarmUp + messages; ++i) {
    side.say(bytes_of(i));
    const double time_us = side.wait_us();
    if (i >= kWarmUp) times_us.push_back(time_us);
  }
  return latency_of(std::move(times_us));
}

struct Way {
  const char* name;
  std::function<Latency(int messages)> measure;
  std::vector<Latency> rounds{};
};

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
}

void print(const Way& way, const Way& bare) {
  std::printf("| %s |", way.name);
  for (const auto figure : {&Latency::median_us, &Latency::p99_us}) {
    std::vector<double> times_us, ratios;
    for (std::size_t i = 0; i < way.rounds.size(); ++i) {
      times_us.push_back(way.rounds[i].*figure);
      ratios.push_back(way.rounds[i].*figure / bare.rounds[i].*figure);
    }
    std::printf(" %.3g | %.2f (%.2f to %.2f) |", quantile(times_us, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25),
                quantile(ratios, 0.75));
  }
  std::printf("\n");
}

int run(int rounds, int messages) {
  const auto rings = WorkerRings::create(2, kMaxMessageBytes);
  if (!rings) return 1;
  const Events events;
  std::vector<Way> ways{
      {"a bare eventfd",
       [&](int count) {
         return measure_exchange([&](std::size_t side) { return std::make_unique<BareSide>(events, side); }, count);
       }},
      {"an eventfd and epoll",
       [&](int count) {
         return measure_exchange([&](std::size_t side) { return std::make_unique<EpollSide>(events, side); }, count);
       }},
      {"publish to another worker",
       [&](int count) {
         return measure_exchange([&](std::size_t side) { return std::make_unique<WorkerSide>(**rings, side); }, count);
       }},
      {"publish within one process", measure_within},
  };
  for (int round = 0; round < rounds; ++round) {
    if (round % 2 == 1) std::reverse(ways.begin(), ways.end());
    for (Way& way : ways) way.rounds.push_back(way.measure(messages));
    if (round % 2 == 1) std::reverse(ways.begin(), ways.end());
  }
  std::printf(
      "| | µs, median | to the bare eventfd | µs, 99th percentile | to the bare eventfd |\n|---|---|---|---|---|\n");
  for (const Way& way : ways) print(way, ways[0]);
  return 0;
}

}  // namespace
}  // namespace websockets

int main(int count, char** arguments) {
  return websockets::run(count > 1 ? std::atoi(arguments[1]) : 11, count > 2 ? std::atoi(arguments[2]) : 20'000);
}
