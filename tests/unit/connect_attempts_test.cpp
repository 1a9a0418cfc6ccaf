// SPDX-License-Identifier: MIT
#include "dial/connect_attempts.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <optional>

#include "base/clock.h"
#include "dial_servers.h"
#include "failing_allocations.h"
#include "fake_pollable.h"
#include "loop_fixture.h"
#include "net/listener.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class ConnectAttemptsTest : public LoopFixture, public ConnectAttemptsOwner {
 protected:
  ~ConnectAttemptsTest() override { attempts.reset(); }

  void start(const std::vector<SocketAddress>& addresses, const std::string& interface = {}) {
    attempts.emplace(loop(), *this);
    const Loop::Round round(loop());
    attempts->start("host:1", addresses, interface);
  }
  void serve_until_told() {
    while (log.empty()) loop().service(-1);
  }
  void on_connected(UniqueFd fd) override {
    const FailingAllocation::Pause pause;
    connected = std::move(fd);
    log.push_back("connected to " + attempts->address());
  }
  void on_connect_failed(Failure its_failure) override {
    const FailingAllocation::Pause pause;
    failure = std::move(its_failure);
    log.emplace_back("failed");
  }

  std::optional<ConnectAttempts> attempts;
  UniqueFd connected;
  Failure failure;
};

TEST_F(ConnectAttemptsTest, ConnectsToTheOnlyAddress) {
  const Server server;
  start({server.address()});
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
  EXPECT_EQ(loop().find(connected.get()), nullptr);
  write_all(connected.get(), "a");
  EXPECT_EQ(read_exactly(server.accept().fd.get(), 1), "a");
}

TEST_F(ConnectAttemptsTest, OneThatIsRefusedGivesWayToTheNext) {
  const UnusedAddress refused("127.0.0.1");
  const Server server;
  start({refused.address(), server.address()});
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
}

TEST_F(ConnectAttemptsTest, Ipv6RefusesAndIpv4Serves) {
  const Server server;
  start({*literal_address("::1", server.address().port()), server.address()});
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
}

TEST_F(ConnectAttemptsTest, OneThatIsSilentGivesWayToTheNextAfterAWhile) {
  const SilentServer silent;
  const Server server;
  const std::uint64_t before_ms = monotonic_ms();
  start({silent.address(), server.address()});
  EXPECT_EQ(log, Log{});
  EXPECT_EQ(attempts->address(), silent.address().text());
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
  EXPECT_GE(monotonic_ms(), before_ms + ConnectAttempts::kAttemptDelayMs);
}

TEST_F(ConnectAttemptsTest, TheLastOfTwentyServes) {
  std::vector<UnusedAddress> refused;
  std::vector<SocketAddress> addresses;
  for (int i = 0; i < 19; ++i) addresses.push_back(refused.emplace_back("127.0.0.1").address());
  const Server server;
  addresses.push_back(server.address());
  start(addresses);
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
}

TEST_F(ConnectAttemptsTest, OneThatIsSilentMayAnswerLater) {
  const SilentServer silent;
  const UnusedAddress refused("127.0.0.1");
  start({silent.address(), refused.address()});
  const std::uint64_t until_ms = monotonic_ms() + 2 * ConnectAttempts::kAttemptDelayMs;
  while (monotonic_ms() < until_ms) loop().service(static_cast<int>(ConnectAttempts::kAttemptDelayMs));
  EXPECT_EQ(take_log(), Log{}) << "the first one is waited for";
  EXPECT_EQ(attempts->address(), refused.address().text());
}

TEST_F(ConnectAttemptsTest, WhenAllFailTheFailureNamesEach) {
  const UnusedAddress one("127.0.0.1");
  const UnusedAddress other("127.0.0.1");
  start({one.address(), other.address()});
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kRefused);
  EXPECT_EQ(failure.phase, FailurePhase::kTcp);
  EXPECT_EQ(failure.code, ECONNREFUSED);
  EXPECT_EQ(failure.message, "cannot connect to host:1 (" + one.address().text() + ": Connection refused; " +
                                 other.address().text() + ": Connection refused)");
  EXPECT_EQ(failure.address, other.address().text());
  EXPECT_FALSE(failure.is_final);
}

TEST_F(ConnectAttemptsTest, ARefusalSaysMoreThanThatNoWayLeadsThere) {
  const UnusedAddress refused("127.0.0.1");
  const SocketAddress nowhere = *literal_address("::1", 1);
  start({nowhere, refused.address()}, "127.0.0.1");
  serve_until_told();
  EXPECT_EQ(failure.kind, FailureKind::kRefused);
  start({refused.address(), nowhere}, "127.0.0.1");
  serve_until_told();
  EXPECT_EQ(failure.kind, FailureKind::kRefused);
  start({nowhere}, "127.0.0.1");
  serve_until_told();
  EXPECT_EQ(failure.kind, FailureKind::kUnreachable);
  EXPECT_EQ(failure.code, EADDRNOTAVAIL);
}

TEST_F(ConnectAttemptsTest, ComesFromTheInterfaceThatIsAskedFor) {
  const Server server;
  for (const auto& [interface, address] : {std::pair("127.0.0.3", "127.0.0.3"), std::pair("lo", "127.0.0.1")}) {
    start({server.address()}, interface);
    serve_until_told();
    EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
    EXPECT_EQ(PeerAddress(local_address(connected.get())).text(), address);
  }
}

TEST_F(ConnectAttemptsTest, AnUnknownInterfaceIsAFailure) {
  const Server server;
  start({server.address()}, "no such");
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kUnreachable);
  EXPECT_EQ(failure.message, "cannot connect to host:1: no network interface or address is called 'no such'");
}

TEST_F(ConnectAttemptsTest, WaitsForAUnixSocketThatIsBusy) {
  const TemporaryFolder folder;
  const SocketAddress address = *unix_address(folder.path() + "/socket");
  ListenOptions options;
  options.backlog = 0;
  const Server server(address, options);
  std::vector<Connecting> others;
  do {
    others.push_back(begin_connecting(address, nullptr));
  } while (others.back().status == ConnectStatus::kConnected);
  start({address}, "lo");
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
  while (server.accept().status == AcceptStatus::kAccepted) {
  }
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"connected to " + address.text()}));
}

TEST_F(ConnectAttemptsTest, AUnixSocketThatIsMissingIsRefused) {
  const TemporaryFolder folder;
  const SocketAddress address = *unix_address(folder.path() + "/socket");
  start({address});
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kRefused);
}

TEST_F(ConnectAttemptsTest, WithoutDescriptorsItFails) {
  const Server server;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  start({server.address()});
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.code, EMFILE);
}

TEST_F(ConnectAttemptsTest, AbortedItClosesEverythingAndCallsNobody) {
  const SilentServer silent;
  const Server server;
  start({silent.address(), server.address()});
  const std::uint64_t until_ms = monotonic_ms() + ConnectAttempts::kAttemptDelayMs;
  attempts->abort();
  EXPECT_EQ(loop().idle_ms(), -1) << "no timer is left";
  while (monotonic_ms() < until_ms) loop().service(static_cast<int>(until_ms - monotonic_ms()));
  EXPECT_EQ(take_log(), Log{});
  EXPECT_EQ(server.accept().status, AcceptStatus::kNone);
}

TEST_F(ConnectAttemptsTest, WorksInALoopThatAnnouncesItsDescriptors) {
  FakeObserver observer;
  LoopOptions options;
  options.observer = &observer;
  open(options);
  const int own_fd = std::stoi(observer.take_events()[0].substr(1));
  const UnusedAddress refused("127.0.0.1");
  const Server server;
  start({refused.address(), server.address()});
  while (log.empty()) {
    pollfd poll{own_fd, POLLIN, 0};
    ::poll(&poll, 1, -1);
    const Loop::Round round(loop());
    loop().service_descriptor(own_fd);
  }
  EXPECT_EQ(take_log(), (Log{"connected to " + server.address().text()}));
  EXPECT_EQ(observer.take_events(), Log{});
}

// Each allocation in turn.
TEST_F(ConnectAttemptsTest, WithoutMemoryItConnectsOrFails) {
  const UnusedAddress refused("127.0.0.1");
  const Server server;
  const std::vector<SocketAddress> addresses{refused.address(), server.address()};
  for (std::size_t failing = 1;; ++failing) {
    std::string name = "a name that is too long for no memory at all";
    std::vector<SocketAddress> copy = addresses;
    attempts.emplace(loop(), *this);
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      const Loop::Round round(loop());
      attempts->start(std::move(name), std::move(copy), "");
      while (log.empty()) loop().service(-1);
      has_failed = failure.has_failed();
    }
    const Log told = take_log();
    if (!has_failed) {
      EXPECT_EQ(told, (Log{"connected to " + server.address().text()}));
      return;
    }
    ASSERT_EQ(told.size(), 1U);
    if (told[0] == "failed") {
      EXPECT_EQ(failure.message, "out of memory");
    }
  }
}

}  // namespace
}  // namespace websockets
