// SPDX-License-Identifier: MIT
#include "cluster/worker_pool.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "certificate_file.h"
#include "cluster/deployment.h"
#include "server/hub.h"
#include "shared_memory.h"
#include "supervisor_process.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

constexpr std::uint64_t kVeryLong = 1'000'000'000;

class FakeDeployment final : public Deployment {
 public:
  explicit FakeDeployment(const FakePoolOwner& log) : log_(log) {}

  void on_ready() override { log_.note("ready"); }
  void on_reloading() override { log_.note("reloading"); }
  void on_stopping() override { log_.note("stopping"); }
  Error start(Listeners& listeners, Loop&, DeploymentOwner& owner) override {
    log_.note("start with " + std::to_string(listeners.count()));
    if (++started_ == 1) return {"there is no program"};
    if (started_ == 2) {
      owner.on_new_version_failed("it is broken");
    } else {
      owner.on_new_version_ready();
    }
    return {};
  }
  void leave() override { log_.note("leave"); }

 private:
  const FakePoolOwner& log_;
  int started_ = 0;
};

class WorkerPoolTest : public testing::Test {
 protected:
  // One process after the other that answers, until there are so many.
  std::vector<pid_t> find_workers(std::size_t count) const {
    std::set<pid_t> found;
    while (found.size() < count) {
      const pid_t pid = supervisor.ask();
      EXPECT_NE(pid, 0);
      if (pid == 0) break;
      found.insert(pid);
    }
    return {found.begin(), found.end()};
  }
  UniqueFd open_websocket() const {
    UniqueFd client = supervisor.connect();
    write_all(client.get(), kUpgradeRequest);
    std::string head;
    while (!head.ends_with("\r\n\r\n")) head += read_exactly(client.get(), 1);
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101"));
    return client;
  }
  // Until there are no more; sorted.
  std::vector<std::string> last_lines() {
    std::vector<std::string> lines;
    for (std::string line = supervisor.next_line(); !line.empty(); line = supervisor.next_line()) {
      lines.push_back(std::move(line));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  SupervisorProcess supervisor;
};

using Lines = std::vector<std::string>;

TEST_F(WorkerPoolTest, ServesByAllWorkersUntilItIsToldToStop) {
  supervisor.start();
  const std::vector<pid_t> workers = find_workers(2);
  EXPECT_EQ(std::count(workers.begin(), workers.end(), supervisor.pid()), 0);
  supervisor.signal(SIGTERM);
  EXPECT_EQ(last_lines(), (Lines{"end: 15", "exit of 1: exit 0", "exit of 2: exit 0"}));
  EXPECT_EQ(supervisor.wait(), 0);
  EXPECT_FALSE(supervisor.connect());
}

TEST_F(WorkerPoolTest, WorksWithEachDriver) {
  for (const std::string driver : {"", "poll", "io_uring"}) {
    SupervisorProcess other;
    other.context_options.driver = driver;
    if (!Context::create(other.context_options, other.handler())) continue;  // this system does not have it
    other.start();
    std::set<pid_t> servers;
    for (int i = 0; i < 20 || servers.size() < 2; ++i) servers.insert(other.ask());
    EXPECT_EQ(servers.size(), 2U) << driver;
    EXPECT_FALSE(servers.contains(0)) << driver;
    other.signal(SIGTERM);
    EXPECT_EQ(other.next_line().substr(9), ": exit 0") << driver;
  }
}

TEST_F(WorkerPoolTest, SpreadsTheClients) {
  supervisor.options.workers = 4;
  supervisor.start();
  // A worker takes clients from when it is ready.
  find_workers(4);
  std::map<pid_t, int> answers;
  constexpr int kClients = 4'000;
  for (int i = 0; i < kClients; ++i) ++answers[supervisor.ask()];
#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
  ASSERT_EQ(answers.size(), 4U);
  for (const auto& [pid, count] : answers) EXPECT_LE(count, kClients / 4 * 1.15);
#endif
  EXPECT_FALSE(answers.contains(0));
}

TEST_F(WorkerPoolTest, SharesAUnixSocketEvenly) {
  const TemporaryFolder folder;
  supervisor.context_options.listen = {"unix:" + folder.path() + "/socket"};
  supervisor.deployment = [](const FakePoolOwner& owner) {
    static FakeDeployment deployment(owner);
    return &deployment;
  };
  supervisor.start();
  for (const std::string line : {"leave", "leave", "ready"}) EXPECT_EQ(supervisor.next_line(), line);
  std::map<pid_t, int> answers;
  std::vector<UniqueFd> clients;
  constexpr int kClients = 100;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(supervisor.connect());
    write_all(clients.back().get(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    std::string head;
    while (!head.ends_with("\r\n\r\n")) head += read_exactly(clients.back().get(), 1);
    std::array<char, 32> pid{};
    EXPECT_GT(::recv(clients.back().get(), pid.data(), pid.size() - 1, 0), 0);
    ++answers[std::atoi(pid.data())];
  }
  ASSERT_EQ(answers.size(), 2U);
  for (const auto& [pid, count] : answers) EXPECT_LE(count, kClients / 2 * 1.2);
  supervisor.signal(SIGINT);
  EXPECT_EQ(last_lines(), (Lines{"end: 2", "exit of 1: exit 0", "exit of 2: exit 0", "stopping"}));
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/socket"));
}

TEST_F(WorkerPoolTest, AWorkerThatEndsIsReplacedAndNoClientThatWaitsForItIsLost) {
  supervisor.start();
  const std::vector<pid_t> workers = find_workers(2);
  ::kill(workers[0], SIGSTOP);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(supervisor.connect());
    SupervisorProcess::request(clients.back().get(), "/");
  }
  ::kill(workers[0], SIGKILL);
  std::set<pid_t> servers;
  for (const UniqueFd& client : clients) servers.insert(SupervisorProcess::answer(client.get()));
  EXPECT_FALSE(servers.contains(0));
  EXPECT_FALSE(servers.contains(workers[0]));
  EXPECT_EQ(supervisor.next_line().substr(9), ": signal 9 (Killed)");
  static_cast<void>(find_workers(2));
}

TEST_F(WorkerPoolTest, OnlyTheClientsOfAWorkerThatDiesLoseTheirConnection) {
  supervisor.start();
  const std::vector<pid_t> workers = find_workers(2);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(open_websocket());
  ::kill(workers[0], SIGKILL);
  EXPECT_EQ(supervisor.next_line().substr(9), ": signal 9 (Killed)");
  std::size_t lost = 0;
  for (const UniqueFd& client : clients) {
    const std::string ping = client_frame(0x89, "are you there");
    static_cast<void>(!::send(client.get(), ping.data(), ping.size(), MSG_NOSIGNAL));
    const std::string answer = read_exactly(client.get(), 15);
    if (answer.empty()) {
      ++lost;
    } else {
      EXPECT_EQ(answer.substr(2), "are you there");
    }
  }
  EXPECT_GT(lost, 0U);
  EXPECT_LT(lost, clients.size());
}

// It writes a message, and wakes nobody any more.
TEST_F(WorkerPoolTest, TheLastWordsOfAWorkerReachTheOthers) {
  supervisor.context_options.driver = "poll";
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_request = [](Worker& worker, const std::string& target) {
      if (target != "/end") return;
      for (int fd = 3; fd < 1024; ++fd) ::close(fd);
      Hub& hub = worker.context().hub();
      hub.broadcast(hub.subprotocols().front(), as_bytes("last words"));
      ::_exit(3);
    };
  });
  const std::vector<pid_t> workers = find_workers(2);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(open_websocket());
  EXPECT_EQ(supervisor.ask("/end"), 0);
  EXPECT_EQ(supervisor.next_line().substr(9), ": exit 3");
  // The other one delivers between the rounds of two answers.
  for (int answers = 0; answers < 2;)
    answers += std::count(workers.begin(), workers.end(), supervisor.ask()) > 0 ? 1 : 0;
  std::size_t reached = 0;
  for (const UniqueFd& client : clients) {
    std::array<char, 12> frame{};
    const ssize_t count = ::recv(client.get(), frame.data(), frame.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) continue;  // its own client
    EXPECT_EQ(std::string_view(frame.data() + 2, 10), "last words");
    ++reached;
  }
  EXPECT_GT(reached, 0U);
}

TEST_F(WorkerPoolTest, AWorkerHasNothingOpenOfTheOthers) {
  supervisor.options.workers = 3;
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_start = [&](Worker&) {
      owner.note(std::to_string(SupervisorProcess::count_descriptors()));
      return Error{};
    };
  });
  const std::string count = supervisor.next_line();
  EXPECT_EQ(supervisor.next_line(), count);
  EXPECT_EQ(supervisor.next_line(), count);
}

TEST_F(WorkerPoolTest, ANeighbourServesTheClientsOfASlotThatStaysDown) {
  static bool fails;
  fails = false;
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_exit = [] { fails = true; };
    owner.during_start = [](Worker& worker) { return fails && worker.id() == 1 ? Error{"no database", 13} : Error{}; };
    owner.during_request = [](Worker& worker, const std::string& target) {
      if (target == "/end" && worker.id() == 1) ::_exit(3);
    };
  });
  static_cast<void>(find_workers(2));
  while (supervisor.ask("/end") != 0) {
  }
  EXPECT_EQ(supervisor.next_line(), "exit of 1: exit 3");
  EXPECT_EQ(supervisor.next_line(), "exit of 1: failed: no database");
  std::set<pid_t> servers;
  for (int i = 0; i < 50; ++i) servers.insert(supervisor.ask());
  EXPECT_EQ(servers.size(), 1U) << "all were served by the other one";
  EXPECT_FALSE(servers.contains(0));
}

TEST_F(WorkerPoolTest, AnotherNeighbourTakesTheSlotWhenTheFirstOneEnds) {
  static bool fails;
  fails = false;
  supervisor.options.workers = 3;
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_exit = [] { fails = true; };
    owner.during_start = [](Worker& worker) { return fails && worker.id() < 3 ? Error{"no database", 13} : Error{}; };
    owner.during_request = [](Worker& worker, const std::string& target) {
      if (target == "/end/" + std::to_string(worker.id())) ::_exit(3);
    };
  });
  static_cast<void>(find_workers(3));
  for (const std::string id : {"1", "2"}) {
    while (supervisor.ask("/end/" + id) != 0) {
    }
    for (int i = 0; i < 50; ++i) EXPECT_NE(supervisor.ask(), 0);
  }
  std::set<pid_t> servers;
  for (int i = 0; i < 50; ++i) servers.insert(supervisor.ask());
  EXPECT_EQ(servers.size(), 1U);
}

TEST_F(WorkerPoolTest, AnotherNeighbourTakesTheSlotWhenTheFirstOneAcceptsNoMore) {
  static bool fails;
  fails = false;
  supervisor.options.workers = 3;
  supervisor.context_options.close_timeout_ms = kVeryLong;
  supervisor.options.shutdown_ms = kVeryLong;
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_exit = [] { fails = true; };
    owner.during_start = [](Worker& worker) { return fails && worker.id() == 1 ? Error{"no database", 13} : Error{}; };
    owner.during_request = [](Worker& worker, const std::string& target) {
      if (target == "/end" && worker.id() == 1) ::_exit(3);
      if (target == "/shutdown" && worker.id() == 2) ::kill(::getpid(), SIGTERM);
    };
  });
  static_cast<void>(find_workers(3));
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(open_websocket());
  while (supervisor.ask("/end") != 0) {
  }
  std::set<pid_t> servers;
  for (int i = 0; i < 50; ++i) servers.insert(supervisor.ask());
  EXPECT_EQ(servers.size(), 2U);
  std::set<pid_t> left = servers;
  while (left.size() == 2) {
    static_cast<void>(supervisor.ask("/shutdown"));
    left.clear();
    for (int i = 0; i < 50; ++i) left.insert(supervisor.ask());
  }
  EXPECT_FALSE(left.contains(0));
}

// Its worker is stopped, then, and who waits for it is not served by the one that was the neighbour.
#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
TEST_F(WorkerPoolTest, ANeighbourLeavesTheSlotThatHasAWorkerAgain) {
  const SharedMemory memory(sizeof(std::atomic<bool>));
  auto& fails = *new (memory.data()) std::atomic<bool>(false);
  supervisor.start([&fails](WorkerPool&, FakePoolOwner& owner) {
    owner.during_start = [&fails](Worker& worker) {
      return fails && worker.id() == 1 ? Error{"no database", 13} : Error{};
    };
    owner.during_request = [&fails](Worker& worker, const std::string& target) {
      if (target != "/end" || worker.id() != 1) return;
      fails = true;
      ::_exit(3);
    };
  });
  static_cast<void>(find_workers(2));
  while (supervisor.ask("/end") != 0) {
  }
  std::set<pid_t> servers;
  for (int i = 0; i < 20; ++i) servers.insert(supervisor.ask());
  ASSERT_EQ(servers.size(), 1U);
  const pid_t neighbour = *servers.begin();
  const UniqueFd witness = open_websocket();
  fails = false;
  const std::vector<pid_t> workers = find_workers(2);
  const pid_t replacement = workers[0] == neighbour ? workers[1] : workers[0];
  for (std::size_t unanswered = 0; unanswered == 0;) {
    ::kill(replacement, SIGSTOP);
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(supervisor.connect());
      SupervisorProcess::request(clients.back().get(), "/");
    }
    const std::string ping = client_frame(0x89, "x");
    for (int i = 0; i < 50; ++i) {
      write_all(witness.get(), ping);
      EXPECT_EQ(read_exactly(witness.get(), 3), "\x8A\x01x");
    }
    char byte;
    for (const UniqueFd& client : clients) unanswered += ::recv(client.get(), &byte, 1, MSG_DONTWAIT) < 0 ? 1 : 0;
    ::kill(replacement, SIGCONT);
  }
}
#endif

TEST_F(WorkerPoolTest, AWorkerThatIsStoppedForLessThanTheTimeoutGoesOn) {
  supervisor.options.hang_timeout_ms = 20'000;
  supervisor.start();
  const std::vector<pid_t> workers = find_workers(2);
  ::kill(workers[0], SIGSTOP);
  ::usleep(2'000'000);
  ::kill(workers[0], SIGCONT);
  EXPECT_EQ(find_workers(2), workers);
}

TEST_F(WorkerPoolTest, TellsWhyAllHaveFailedAtTheStart) {
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_start = [](Worker&) { return Error{"no database", 13}; };
  });
  Lines lines = last_lines();
  // Where one fails much later than the other, that one's replacement is on its way, or has failed, too.
  std::erase_if(lines, [](const std::string& line) { return line.ends_with(": signal 9 (Killed)"); });
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  EXPECT_EQ(lines,
            (Lines{"error 13: no database", "exit of 1: failed: no database", "exit of 2: failed: no database"}));
}

TEST_F(WorkerPoolTest, TellsHowAllHaveEndedAtTheStart) {
  supervisor.options.workers = 1;
  supervisor.start(
      [](WorkerPool&, FakePoolOwner& owner) { owner.during_start = [](Worker&) -> Error { ::_exit(7); }; });
  EXPECT_EQ(last_lines(), (Lines{"error 0: a worker has ended before it was ready: exit 7", "exit of 1: exit 7"}));
}

TEST_F(WorkerPoolTest, GoesOnWhenSomeOfTheFirstWorkersFail) {
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    static bool has_failed = false;
    owner.during_exit = [] { has_failed = true; };
    owner.during_start = [](Worker& worker) { return !has_failed && worker.id() == 2 ? Error{"not yet", 0} : Error{}; };
  });
  EXPECT_EQ(supervisor.next_line(), "exit of 2: failed: not yet");
  static_cast<void>(find_workers(2));
}

TEST_F(WorkerPoolTest, ReplacesAWorkerThatHangs) {
  supervisor.options.hang_timeout_ms = 1'500;
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_request = [](Worker&, const std::string& target) {
      while (target == "/hang") ::pause();
    };
  });
  static_cast<void>(find_workers(2));
  EXPECT_EQ(supervisor.ask("/hang"), 0);
  EXPECT_EQ(supervisor.next_line().substr(9), ": hung");
  static_cast<void>(find_workers(2));
}

TEST_F(WorkerPoolTest, AWorkerThatIsToldToEndIsReplaced) {
  supervisor.start();
  const std::vector<pid_t> workers = find_workers(2);
  for (const int ignored : {SIGINT, SIGHUP, SIGUSR2}) ::kill(workers[0], ignored);
  ::kill(workers[0], SIGTERM);
  EXPECT_EQ(supervisor.next_line().substr(9), ": exit 0");
  const std::vector<pid_t> now = find_workers(2);
  EXPECT_EQ(std::count(now.begin(), now.end(), workers[0]), 0);
  EXPECT_EQ(std::count(now.begin(), now.end(), workers[1]), 1);
}

TEST_F(WorkerPoolTest, AWorkerMayStopThemAll) {
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_request = [](Worker& worker, const std::string& target) {
      if (target == "/stop") worker.ask_to_stop();
    };
  });
  EXPECT_NE(supervisor.ask("/stop"), 0);
  EXPECT_EQ(last_lines(), (Lines{"end: 0", "exit of 1: exit 0", "exit of 2: exit 0"}));
}

TEST_F(WorkerPoolTest, StopsWhenTheSupervisorsOwnerAsksForIt) {
  supervisor.start([](WorkerPool& pool, FakePoolOwner& owner) { owner.during_exit = [&] { pool.stop(); }; });
  ::kill(supervisor.ask(), SIGKILL);
  const Lines lines = last_lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "end: 0");
}

TEST_F(WorkerPoolTest, ASecondSignalKillsThemAll) {
  supervisor.options.shutdown_ms = kVeryLong;
  supervisor.start();
  const UniqueFd client = open_websocket();
  supervisor.signal(SIGTERM);
  EXPECT_EQ(read_exactly(client.get(), 4), std::string("\x88\x02\x03\xE9", 4));
  EXPECT_EQ(supervisor.next_line().substr(9), ": exit 0") << "of the one that has no client";
  EXPECT_FALSE(supervisor.connect()) << "nobody listens any more";
  supervisor.signal(SIGINT);
  EXPECT_EQ(supervisor.next_line().substr(9), ": signal 9 (Killed)");
  EXPECT_EQ(supervisor.next_line(), "end: 2 cut short");
}

TEST_F(WorkerPoolTest, KillsAWorkerThatDoesNotEndInTime) {
  supervisor.options.workers = 1;
  supervisor.options.shutdown_ms = 1;
  supervisor.options.hang_timeout_ms = 0;
  supervisor.start();
  ::kill(supervisor.ask(), SIGSTOP);
  supervisor.signal(SIGTERM);
  EXPECT_EQ(last_lines(), (Lines{"end: 15", "exit of 1: signal 9 (Killed)"}));
}

TEST_F(WorkerPoolTest, AllEndWithTheSupervisor) {
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    owner.during_request = [](Worker&, const std::string& target) {
      while (target == "/hang") ::pause();
    };
  });
  static_cast<void>(find_workers(2));
  const UniqueFd client = open_websocket();
#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
  const UniqueFd hanging = supervisor.connect();
  SupervisorProcess::request(hanging.get(), "/hang");
#endif
  supervisor.signal(SIGKILL);
  EXPECT_EQ(supervisor.wait(), -SIGKILL);
  EXPECT_EQ(supervisor.next_line(), "") << "nobody has the pipe";
  const std::string last = read_exactly(client.get(), 4);
  EXPECT_TRUE(last == std::string("\x88\x02\x03\xE9", 4) || last.empty()) << "its worker hung, perhaps";
}

TEST_F(WorkerPoolTest, AClientIsToldWhenTheSupervisorIsGone) {
  supervisor.start();
  const UniqueFd client = open_websocket();
  supervisor.signal(SIGKILL);
  EXPECT_EQ(read_exactly(client.get(), 5), std::string("\x88\x02\x03\xE9", 4));
  supervisor.wait();
  EXPECT_EQ(supervisor.next_line(), "") << "nobody has the pipe";
}

TEST_F(WorkerPoolTest, TriesAgainWhenThereIsNoDescriptorForAReplacement) {
  supervisor.start([](WorkerPool&, FakePoolOwner& owner) {
    static rlimit before;
    owner.during_exit = [] {
      ::getrlimit(RLIMIT_NOFILE, &before);
      const rlimit none{0, before.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &none);
    };
    owner.during_report = [] { ::setrlimit(RLIMIT_NOFILE, &before); };
  });
  static_cast<void>(find_workers(2));
  ::kill(supervisor.ask(), SIGKILL);
  EXPECT_EQ(supervisor.next_line().substr(9), ": signal 9 (Killed)");
  EXPECT_NE(supervisor.next_line().find(" cannot be replaced yet: "), std::string::npos);
  static_cast<void>(find_workers(2));
}

TEST_F(WorkerPoolTest, CannotBeWithoutDescriptors) {
  supervisor.start([](WorkerPool&, FakePoolOwner&) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  });
  EXPECT_EQ(last_lines()[0].substr(0, 9), "error 24:");
}

// --- Certificates ---

// A client that reads an answer by TLS, and keeps its session.
class TlsVisit {
 public:
  TlsVisit(UniqueFd socket, SSL_SESSION* resumed)
      : socket_(std::move(socket)), context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
    SSL_set_fd(ssl_.get(), socket_.get());
    if (resumed != nullptr) SSL_set_session(ssl_.get(), resumed);
    if (SSL_connect(ssl_.get()) != 1) return;
    const std::string request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size()));
    std::string text;
    std::array<char, 4096> some;
    for (std::size_t count = 0; SSL_read_ex(ssl_.get(), some.data(), some.size(), &count) == 1;) {
      text.append(some.data(), count);
    }
    const std::size_t body = text.find("\r\n\r\n");
    if (body != std::string::npos) server = std::atoi(text.c_str() + body + 4);
    is_resumed = SSL_session_reused(ssl_.get()) == 1;
    session.reset(SSL_get1_session(ssl_.get()));
    const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(ssl_.get()), &X509_free);
    if (shown != nullptr) certificate = ASN1_INTEGER_get(X509_get0_serialNumber(shown.get()));
  }

  pid_t server = 0;
  long certificate = 0;
  bool is_resumed = false;
  std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session{nullptr, &SSL_SESSION_free};

 private:
  UniqueFd socket_;
  std::unique_ptr<SSL_CTX, SslDeleter> context_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
};

TEST_F(WorkerPoolTest, AllGetNewCertificatesAndTakeTheTicketsOfOthers) {
  const CertificateFile file;
  supervisor.context_options.tls.files = {file.path(), file.path()};
  supervisor.start();
  const TlsVisit first(supervisor.connect(), nullptr);
  ASSERT_NE(first.server, 0);
  EXPECT_FALSE(first.is_resumed);
  std::set<pid_t> servers;
  while (servers.size() < 2) {
    const TlsVisit visit(supervisor.connect(), first.session.get());
    EXPECT_TRUE(visit.is_resumed);
    EXPECT_EQ(visit.certificate, first.certificate);
    servers.insert(visit.server);
  }
  std::filesystem::remove(file.path());
  supervisor.signal(SIGHUP);
  EXPECT_EQ(supervisor.next_line().substr(0, 42), "report: the certificates stay as they were");
  EXPECT_EQ(TlsVisit(supervisor.connect(), nullptr).certificate, first.certificate);

  MadeCertificate({}).write(file.path());
  supervisor.signal(SIGHUP);
  servers.clear();
  while (servers.size() < 2) {
    const TlsVisit visit(supervisor.connect(), nullptr);
    EXPECT_NE(visit.certificate, 0);
    if (visit.certificate != first.certificate) servers.insert(visit.server);
  }
  const std::set<pid_t> before = servers;
  ::kill(*before.begin(), SIGKILL);
  EXPECT_EQ(supervisor.next_line().substr(9), ": signal 9 (Killed)");
  servers.clear();
  while (servers.size() < 2) {
    const TlsVisit visit(supervisor.connect(), nullptr);
    EXPECT_NE(visit.certificate, first.certificate) << "also of the one that has come later";
    EXPECT_TRUE(TlsVisit(supervisor.connect(), first.session.get()).is_resumed);
    servers.insert(visit.server);
  }
}

// --- A new version ---

TEST_F(WorkerPoolTest, DrainsOnceANewVersionServes) {
  const TemporaryFolder folder;
  supervisor.context_options.listen = {"127.0.0.1:0", "unix:" + folder.path() + "/socket"};
  supervisor.options.drain_ms = 100;
  supervisor.options.shutdown_ms = 1;
  supervisor.deployment = [](const FakePoolOwner& owner) {
    static FakeDeployment deployment(owner);
    return &deployment;
  };
  supervisor.start();
  for (const std::string line : {"leave", "leave", "ready"}) EXPECT_EQ(supervisor.next_line(), line);
  const UniqueFd client = open_websocket();
  supervisor.signal(SIGUSR2);
  EXPECT_EQ(supervisor.next_line(), "start with 2");
  EXPECT_EQ(supervisor.next_line(), "report: there is no program");
  supervisor.signal(SIGUSR2);
  EXPECT_EQ(supervisor.next_line(), "start with 2");
  EXPECT_EQ(supervisor.next_line(), "report: it is broken");
  static_cast<void>(find_workers(2));
  supervisor.signal(SIGUSR2);
  EXPECT_EQ(read_exactly(client.get(), 5), std::string("\x88\x02\x03\xF4", 4));
  EXPECT_EQ(last_lines(), (Lines{"end: 0", "exit of 1: exit 0", "exit of 2: exit 0", "start with 2"}));
  EXPECT_FALSE(supervisor.connect());
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/socket")) << "it is the new version's";
}

}  // namespace
}  // namespace websockets
