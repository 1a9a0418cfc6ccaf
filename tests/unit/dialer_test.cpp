// SPDX-License-Identifier: MIT
#include "dial/dialer.h"

#include <gtest/gtest.h>
#include <netdb.h>

#include <functional>
#include <optional>

#include "dial/tls_client_contexts.h"
#include "dial_servers.h"
#include "failing_allocations.h"
#include "fake_task.h"
#include "loop_fixture.h"
#include "made_certificate.h"
#include "temporary_folder.h"
#include "tls_server.h"

namespace websockets {
namespace {

using Addresses = std::vector<SocketAddress>;

class DialerTest : public LoopFixture, public DialerOwner {
 protected:
  DialerTest() : tasks(std::in_place, loop()), contexts(std::in_place, *tasks) {}
  ~DialerTest() override {
    gate->open();
    for (auto& dialer : dialers) dialer.reset();
    contexts.reset();
    tasks.reset();
  }

  DialTarget target(const std::string& host, std::uint16_t port) const {
    DialTarget made;
    made.host = host;
    made.port = port;
    return made;
  }
  Dialer& dial(DialTarget its_target, NameLookup::Resolve resolve = nullptr) {
    const DialServices services{loop(), *tasks, *contexts, std::move(resolve)};
    dialers.push_back(std::make_unique<Dialer>(services, std::move(its_target), *this));
    EXPECT_EQ(dialers.back()->phase(), FailurePhase::kNone);
    dialers.back()->start();
    return *dialers.back();
  }
  void serve_until_told(std::size_t count = 1) {
    while (log.size() < count) loop().service(-1);
  }
  template <typename Function>
  void pump(Function is_through) {
    while (!is_through() && log.empty()) loop().service(1);
  }

  void on_dialed(Stream its_stream, std::string address) override {
    const FailingAllocation::Pause pause;
    EXPECT_TRUE(loop().in_round());
    stream.emplace(std::move(its_stream));
    log.push_back("dialed " + address);
    when_told();
  }
  void on_dial_failed(Failure its_failure) override {
    const FailingAllocation::Pause pause;
    EXPECT_TRUE(loop().in_round());
    failure = std::move(its_failure);
    log.emplace_back("failed");
    when_told();
  }

  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  std::optional<BackgroundTasks> tasks;
  std::optional<TlsClientContexts> contexts;
  std::vector<std::unique_ptr<Dialer>> dialers;
  std::optional<Stream> stream;
  Failure failure;
  std::function<void()> when_told = [] {};
};

TEST_F(DialerTest, ALiteralAddressNeedsNoThread) {
  const Server server;
  const Dialer& dialer = dial(target("127.0.0.1", server.address().port()));
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()}));
  EXPECT_EQ(dialer.address(), server.address().text());
  EXPECT_EQ(tasks->fd(), -1);
  write_all(stream->fd(), "a");
  EXPECT_EQ(read_exactly(server.accept().fd.get(), 1), "a");
}

TEST_F(DialerTest, LocalhostIsServedOnIpv4OrIpv6) {
  const Server server;
  dial(target("localhost", server.address().port()));
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()})) << failure.message;
}

TEST_F(DialerTest, ANameIsLookedUp) {
  const Server server;
  const Dialer& dialer =
      dial(target("example.org", server.address().port()), [gate = gate](const std::string& host, std::uint16_t port) {
        gate->pass();
        EXPECT_EQ(host, "example.org");
        return Result(Addresses{*literal_address("127.0.0.1", port)});
      });
  EXPECT_EQ(dialer.phase(), FailurePhase::kName);
  EXPECT_EQ(dialer.address(), "");
  gate->open();
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()}));
}

TEST_F(DialerTest, ANameThatIsUnknownIsAFailure) {
  dial(target("example.org", 1), [](const std::string&, std::uint16_t) -> Result<Addresses> {
    return Error{"'example.org': unknown", EAI_NONAME};
  });
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kDns);
  EXPECT_EQ(failure.phase, FailurePhase::kName);
  EXPECT_EQ(failure.message, "'example.org': unknown");
  EXPECT_EQ(failure.code, 0);
}

TEST_F(DialerTest, EightLookUpsHangAndTheNinthGoesOnAfterOneOfThem) {
  const Server server;
  const auto resolve = [gate = gate](const std::string& host, std::uint16_t port) {
    if (host == "silent.example") gate->pass();
    return Result(Addresses{*literal_address("127.0.0.1", port)});
  };
  for (int i = 0; i < kMostThreads; ++i) dial(target("silent.example", 1), resolve);
  gate->wait_for_arrivals(kMostThreads);
  const Dialer& ninth = dial(target("example.org", server.address().port()), resolve);
  EXPECT_EQ(ninth.phase(), FailurePhase::kName);
  for (int i = 0; i < kMostThreads; ++i) dialers[static_cast<std::size_t>(i)].reset();
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
  gate->open(1);
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()}));
}

TEST_F(DialerTest, ALookUpThatWaitsIsWithdrawnWithItsDialer) {
  const auto resolve = [gate = gate](const std::string&, std::uint16_t) -> Result<Addresses> {
    gate->pass();
    return Error{"unknown"};
  };
  for (int i = 0; i < kMostThreads; ++i) dial(target("silent.example", 1), resolve);
  gate->wait_for_arrivals(kMostThreads);
  dial(target("example.org", 1), resolve);
  dialers.pop_back();
  gate->open();
  serve_until_told(kMostThreads);
  EXPECT_EQ(gate->arrived(), kMostThreads);
}

TEST_F(DialerTest, AUnixSocketStandsForTheHost) {
  const TemporaryFolder folder;
  const Server server(*unix_address(folder.path() + "/socket"));
  DialTarget to = target("example.org", 1);
  to.unix_path = folder.path() + "/socket";
  dial(to);
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed unix:" + to.unix_path}));
  to.unix_path += std::string(200, 'x');
  dial(to);
  serve_until_told();
  EXPECT_EQ(failure.kind, FailureKind::kUnreachable);
}

TEST_F(DialerTest, AnAddressStandsForTheHost) {
  const Server server;
  DialTarget to = target("example.org", 1);
  to.address = server.address();
  to.proxy.kind = Proxy::Kind::kHttp;
  dial(to);
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()}));
  const UnusedAddress refused("127.0.0.1");
  to.address = refused.address();
  dial(to);
  serve_until_told();
  EXPECT_EQ(failure.message, "cannot connect to example.org:1 (" + refused.address().text() + ": Connection refused)");
}

TEST_F(DialerTest, OneThatIsRefusedIsAFailure) {
  const UnusedAddress refused("127.0.0.1");
  dial(target("127.0.0.1", refused.address().port()));
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kRefused);
  EXPECT_EQ(failure.message, "cannot connect to " + refused.address().text() + ": Connection refused");
  EXPECT_EQ(failure.address, refused.address().text());
}

TEST_F(DialerTest, TheFamiliesOfANameAlternate) {
  const UnusedAddress refused("127.0.0.1");
  const std::uint16_t port = refused.address().port();
  dial(target("example.org", port), [](const std::string&, std::uint16_t its_port) {
    Addresses found;
    for (const char* const literal : {"127.0.0.1", "127.0.0.2", "::1"})
      found.push_back(*literal_address(literal, its_port));
    return Result(found);
  });
  serve_until_told();
  EXPECT_EQ(failure.address, "127.0.0.2:" + std::to_string(port));
  EXPECT_LT(failure.message.find("127.0.0.1:"), failure.message.find("[::1]:")) << failure.message;
  EXPECT_LT(failure.message.find("[::1]:"), failure.message.find("127.0.0.2:")) << failure.message;
}

TEST_F(DialerTest, AProxyIsConnectedToInPlaceOfTheHost) {
  const Server server;
  DialTarget to = target("no.such.name", 80);
  to.proxy.kind = Proxy::Kind::kHttp;
  to.proxy.host = "localhost";
  to.proxy.port = server.address().port();
  const Dialer& dialer = dial(to);
  pump([&] { return dialer.phase() == FailurePhase::kProxy; });
  const Accepted accepted = server.accept();
  write_all(accepted.fd.get(), "HTTP/1.1 200 OK\r\n\r\n");
  serve_until_told();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()})) << failure.message;
}

TEST_F(DialerTest, AProxyThatIsRefusedIsNamed) {
  const UnusedAddress refused("127.0.0.1");
  DialTarget to = target("example.org", 80);
  to.proxy.kind = Proxy::Kind::kSocks5h;
  to.proxy.host = "127.0.0.1";
  to.proxy.port = refused.address().port();
  dial(to);
  serve_until_told();
  EXPECT_EQ(failure.kind, FailureKind::kRefused);
  EXPECT_EQ(failure.message.find("cannot connect to proxy 127.0.0.1:"), 0U) << failure.message;
}

TEST_F(DialerTest, TlsIsVerified) {
  const TemporaryFolder folder;
  const MadeCertificate certificate({.name = "", .alternatives = "IP:127.0.0.1"});
  const Server server;
  TlsServer tls(certificate);
  DialTarget to = target("127.0.0.1", server.address().port());
  to.is_tls = true;
  to.tls.ca_path = folder.path() + "/trusted.pem";
  certificate.write(to.tls.ca_path, false);
  const auto serve = [&] {
    const Dialer& dialer = dial(to);
    pump([&] { return dialer.phase() == FailurePhase::kTls; });
    const Accepted accepted = server.accept();
    tls.begin(accepted.fd.get());
    pump([&] { return tls.shake_hands(); });
    serve_until_told();
  };
  serve();
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text()})) << failure.message;
  EXPECT_TRUE(stream->is_tls());
  EXPECT_EQ(tls.server_name(), "none") << "RFC 6066 3: literals are no names";
  to.tls.server_name = "example.org";
  serve();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_EQ(failure.address, server.address().text());
  EXPECT_TRUE(failure.is_final);
}

TEST_F(DialerTest, AContextThatCannotBeMadeFailsWhileTheNameIsLookedUp) {
  DialTarget to = target("example.org", 1);
  to.is_tls = true;
  to.tls.ca_path = "/no/such/file";
  dial(to, [gate = gate](const std::string&, std::uint16_t) -> Result<Addresses> {
    gate->pass();
    return Error{"unknown"};
  });
  serve_until_told();
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_EQ(failure.phase, FailurePhase::kTls);
  gate->open();
  while (tasks->has_pending()) loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"failed"}));
}

TEST_F(DialerTest, ItsOwnerMayDestroyItWhenItIsTold) {
  const Server server;
  const UnusedAddress refused("127.0.0.1");
  when_told = [&] { dialers.clear(); };
  dial(target("127.0.0.1", server.address().port()));
  serve_until_told();
  dial(target("127.0.0.1", refused.address().port()));
  serve_until_told(2);
  dial(target("example.org", 1),
       [](const std::string&, std::uint16_t) -> Result<Addresses> { return Error{"unknown"}; });
  serve_until_told(3);
  EXPECT_EQ(take_log(), (Log{"dialed " + server.address().text(), "failed", "failed"}));
}

TEST_F(DialerTest, DestroyedInAnyPhaseItClosesEverythingAndCallsNobody) {
  const SilentServer silent;
  const Server server;
  DialTarget to = target("127.0.0.1", server.address().port());
  to.is_tls = true;
  to.tls.verify = false;
  DialTarget proxied = to;
  proxied.proxy.kind = Proxy::Kind::kHttps;
  proxied.proxy.host = "127.0.0.1";
  proxied.proxy.port = server.address().port();
  dial(target("example.org", 1), [gate = gate](const std::string&, std::uint16_t) -> Result<Addresses> {
    gate->pass();
    return Error{"unknown"};
  });
  dial(target("127.0.0.1", silent.address().port()));
  dial(to);
  dial(proxied);
  pump([&] { return dialers[2]->phase() == FailurePhase::kTls && dialers[3]->phase() == FailurePhase::kProxy; });
  EXPECT_EQ(dialers[0]->phase(), FailurePhase::kName);
  EXPECT_EQ(dialers[1]->phase(), FailurePhase::kTcp);
  {
    const Loop::Round round(loop());
    dialers.clear();
  }
  gate->open();
  while (tasks->has_pending()) loop().service(-1);
  EXPECT_EQ(take_log(), Log{});
  EXPECT_EQ(loop().idle_ms(), -1);
}

// Each allocation in turn.
TEST_F(DialerTest, WithoutMemoryItDialsOrFails) {
  const Server server;
  const NameLookup::Resolve resolve = [](const std::string&, std::uint16_t port) {
    return Result(Addresses{*literal_address("127.0.0.1", port)});
  };
  const DialServices services{loop(), *tasks, *contexts, resolve};
  for (std::size_t failing = 1;; ++failing) {
    const DialTarget to = target("a.name.that.takes.memory.example.org", server.address().port());
    std::unique_ptr<Dialer> dialer;
    bool has_failed = false;
    {
      const FailingAllocation failing_allocation(failing);
      try {
        dialer = std::make_unique<Dialer>(services, to, *this);
        dialer->start();
        serve_until_told();
      } catch (const std::bad_alloc&) {
        if (dialer != nullptr) dialer->address();
      }
      has_failed = failing_allocation.has_failed();
    }
    const Log told = take_log();
    if (!has_failed) {
      EXPECT_EQ(told, (Log{"dialed " + server.address().text()}));
      return;
    }
    if (dialer != nullptr) {
      ASSERT_EQ(told.size(), 1U);
    }
  }
}

}  // namespace
}  // namespace websockets
