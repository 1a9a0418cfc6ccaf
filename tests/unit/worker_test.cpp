// SPDX-License-Identifier: MIT
#include "cluster/worker.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/worker_rings.h"
#include "connection_fixture.h"
#include "context_fixture.h"
#include "net/stream_socket.h"

namespace websockets {
namespace {

class FakeWorkerOwner final : public WorkerOwner {
 public:
  Error on_worker(Worker& worker) override { return during_start(worker); }
  int serve(Worker& worker) override {
    before_serving(worker);
    return worker.serve();
  }
  void on_gap(int) override {}

  std::function<Error(Worker&)> during_start = [](Worker&) { return Error{}; };
  std::function<void(Worker&)> before_serving = [](Worker&) {};
};

// The second of two workers in a process of its own; this one is the supervisor.
class WorkerTest : public ContextFixture, private LoopOwner, private ControlHandler {
 protected:
  WorkerTest() {
    create();
    EXPECT_FALSE(context->listeners().open_slots(options, 2));
    context->listeners().suspend();
    status = std::move(*WorkerStatus::create(2, {"chat"}));
    rings = std::move(*WorkerRings::create(2, 1'000));
    EXPECT_FALSE(loop.open());
  }
  ~WorkerTest() override {
    if (control) control->close();
    wait();
  }

  void start() {
    Result<std::array<UniqueFd, 2>> ends = make_socket_pair("");
    control.emplace(std::move((*ends)[0]), loop, static_cast<ControlHandler&>(*this));
    const pid_t supervisor = ::getpid();
    ProcessSignals::Blocked blocked;
    pid = ::fork();
    if (pid == 0) {
      int status_code = 1;
      control->abandon();
      {
        Worker worker(*context, *status, *rings, owner, std::move((*ends)[1]), {1, supervisor, 1, 10});
        status_code = worker.run(blocked);
      }
      ::_exit(status_code);
    }
    EXPECT_TRUE(control->open());
  }
  // The next thing that it says.
  std::string next() {
    while (said.empty()) loop.service(-1);
    return std::exchange(said, std::vector<std::string>(said.begin() + 1, said.end())).front();
  }
  int wait() {
    if (pid <= 0) return -1;
    int result = 0;
    ::waitpid(std::exchange(pid, 0), &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
  }
  // It serves the clients of both slots, then.
  void start_serving() {
    start();
    EXPECT_EQ(next(), std::to_string(static_cast<int>(ControlMessage::Kind::kReady)) + " ");
    control->send({ControlMessage::Kind::kServe, 0});
  }
  UniqueFd open_websocket_of_worker() {
    UniqueFd client = connect();
    write_all(client.get(), kUpgradeRequest);
    std::string head;
    while (!head.ends_with("\r\n\r\n")) head += read_exactly(client.get(), 1);
    return client;
  }
  static std::string close_frame(std::uint16_t code) {
    return {'\x88', '\x02', static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
  }

  Loop loop{{.driver = "poll"}, static_cast<LoopOwner&>(*this)};
  std::unique_ptr<WorkerStatus> status;
  std::unique_ptr<WorkerRings> rings;
  FakeWorkerOwner owner;
  std::optional<ControlChannel> control;
  std::vector<std::string> said;
  pid_t pid = 0;

 private:
  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_round_end() override {}
  void on_message(ControlChannel&, const ControlMessage& message) override {
    said.push_back(std::to_string(static_cast<int>(message.kind)) + " " + message.text);
  }
  void on_end(ControlChannel&) override { said.emplace_back("end"); }
};

using Kind = ControlMessage::Kind;

std::string text_of(Kind kind, const std::string& text = {}) {
  return std::to_string(static_cast<int>(kind)) + " " + text;
}

TEST_F(WorkerTest, ServesItsSlotUntilItIsToldToStop) {
  start_serving();
  const UniqueFd client = open_websocket_of_worker();
  control->send({Kind::kStop, 1001, 1});
  EXPECT_EQ(read_exactly(client.get(), 5), close_frame(1001));
  std::string last = next();
  if (last == text_of(Kind::kEnding)) last = next();  // its heart has beaten before the end
  EXPECT_EQ(last, "end");
  EXPECT_EQ(wait(), 0);
}

TEST_F(WorkerTest, EndsAtOnceWithItsSupervisor) {
  start_serving();
  const UniqueFd client = open_websocket_of_worker();
  control->close();
  EXPECT_EQ(read_exactly(client.get(), 5), close_frame(1001));
  EXPECT_EQ(wait(), 0);
}

TEST_F(WorkerTest, TellsWhyItCannotBegin) {
  owner.during_start = [](Worker& worker) {
    return Error{"worker " + std::to_string(worker.id()) + " of " + std::to_string(worker.count()), 5};
  };
  start();
  EXPECT_EQ(next(), text_of(Kind::kFailed, "worker 2 of 2"));
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(wait(), 1);
}

TEST_F(WorkerTest, EndsWhenItsOwnerDestroysTheContext) {
  owner.during_start = [](Worker& worker) {
    worker.context().destroy();
    return Error{};
  };
  start();
  while (next() != "end") {
  }
  EXPECT_EQ(wait(), 0);
}

TEST_F(WorkerTest, ShutsDownBySigterm) {
  start_serving();
  const UniqueFd client = open_websocket_of_worker();
  status->set_accepting(0, true);
  status->set_connections(0, 100);
  EXPECT_TRUE(status->is_above_mean(0));
  ::kill(pid, SIGINT);
  ::kill(pid, SIGTERM);
  EXPECT_EQ(read_exactly(client.get(), 5), close_frame(1001));
  EXPECT_EQ(next(), text_of(Kind::kEnding));
  EXPECT_FALSE(status->is_above_mean(0)) << "nobody else accepts";
  EXPECT_EQ(wait(), 0);
}

TEST_F(WorkerTest, TellsThatItAcceptsNoMoreWhenItsOwnerShutsTheContextDown) {
  owner.before_serving = [](Worker& worker) {
    while (worker.context().report().protocols[0].open == 0) worker.context().service(-1);
    worker.context().shut_down(1'000'000'000, CloseCode::kGoingAway, {});
  };
  start_serving();
  {
    const UniqueFd client = open_websocket_of_worker();
    EXPECT_EQ(next(), text_of(Kind::kEnding));
  }
  EXPECT_EQ(next(), "end");
  EXPECT_EQ(wait(), 0);
}

TEST_F(WorkerTest, ClosesItsWebsocketsOneAfterTheOtherWhenItDrains) {
  start_serving();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(open_websocket_of_worker());
  control->send({Kind::kDrain, 1012, 1'000});
  std::size_t closed = 0;
  bool was_between = false;
  while (closed < clients.size()) {
    closed = 0;
    for (const UniqueFd& client : clients) {
      char byte;
      closed += ::recv(client.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? 1 : 0;
    }
    was_between = was_between || (closed > 0 && closed < clients.size() / 2);
  }
  EXPECT_TRUE(was_between);
  for (const UniqueFd& client : clients) EXPECT_EQ(read_exactly(client.get(), 4), close_frame(1012));
  EXPECT_EQ(wait(), 0);
}

TEST_F(WorkerTest, TellsThatItsLoopTurnsAndWhatItHas) {
  StatsReport before;
  before.counted.messages_received = 100;
  status->publish(1, before);
  start_serving();
  const std::uint64_t beats = status->beats(1);
  while (status->beats(1) < beats + 3) ::usleep(1'000);
  const UniqueFd client = open_websocket_of_worker();
  while (status->report(1).protocols[0].open == 0) ::usleep(10'000);
  EXPECT_EQ(status->report(1).connections, 1U);
  EXPECT_EQ(status->report(1).counted.messages_received, 100U) << "by the worker before it";
  ::kill(pid, SIGKILL);
  EXPECT_EQ(wait(), -SIGKILL);
}

TEST_F(WorkerTest, ServesTheListenersOfAnother) {
  start_serving();
  for (int i = 0; i < 20; ++i) {
    const UniqueFd client = connect();
    write_all(client.get(), kUpgradeRequest);
    EXPECT_EQ(read_exactly(client.get(), 12), "HTTP/1.1 101");
  }
}

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
TEST_F(WorkerTest, LeavesTheListenersOfAnotherAgain) {
  start_serving();
  control->send({Kind::kLeave, 0});
  const auto let_it_turn = [this] {
    control->send({Kind::kReload});
    EXPECT_EQ(next(), text_of(Kind::kReloadFailed, "there is no certificate"));
  };
  let_it_turn();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(connect());
  for (int i = 0; i < 20; ++i) let_it_turn();
  const int listener = context->listeners().acceptors(0).front()->listener().fd.get();
  pollfd waiting{listener, POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 1) << "it has accepted them all";
}
#endif

TEST_F(WorkerTest, TellsThatItsCertificatesStayAsTheyWere) {
  start_serving();
  control->send({Kind::kReload});
  EXPECT_EQ(next(), text_of(Kind::kReloadFailed, "there is no certificate"));
}

TEST_F(WorkerTest, AsksForTheEndOfAll) {
  owner.during_start = [](Worker& worker) {
    worker.ask_to_stop();
    return Error{};
  };
  start();
  EXPECT_EQ(next(), text_of(Kind::kStopAll));
  EXPECT_EQ(next(), text_of(Kind::kReady));
}

TEST_F(WorkerTest, HearsTheOtherWorkers) {
  start_serving();
  const UniqueFd client = open_websocket_of_worker();
  // What another one broadcasts to the first subprotocol.
  ASSERT_FALSE(context->take_over());
  struct Nobody final : WorkerBackplaneOwner {
    void on_gap(std::size_t) override {}
  } nobody;
  WorkerBackplane backplane(*rings, 0, context->hub(), context->loop(), nobody);
  EXPECT_EQ(backplane.broadcast(0, as_bytes("hello")), DeliveryStatus::kDelivered);
  EXPECT_EQ(read_exactly(client.get(), 7), "\x81\x05hello");
}

}  // namespace
}  // namespace websockets
