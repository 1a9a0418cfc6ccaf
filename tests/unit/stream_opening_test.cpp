// SPDX-License-Identifier: MIT
#include "dial/stream_opening.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <functional>
#include <optional>

#include "failing_allocations.h"
#include "fake_pollable.h"
#include "loop_fixture.h"
#include "made_certificate.h"
#include "temporary_folder.h"
#include "tls_server.h"

namespace websockets {
namespace {

const MadeCertificate& authority_certificate() {
  static const MadeCertificate made({.name = "Authority", .alternatives = "", .is_authority = true});
  return made;
}
const MadeCertificate& host_certificate() {
  static const MadeCertificate made({.name = "", .alternatives = "DNS:example.org,DNS:proxy.example"},
                                    &authority_certificate());
  return made;
}

Proxy proxy(Proxy::Kind kind) {
  Proxy made;
  made.kind = kind;
  made.host = "proxy.example";
  made.port = 3128;
  made.userinfo = "user:password";
  return made;
}

// The peer of the opening is at the far end of a pair, in the same thread.
class StreamOpeningTest : public LoopFixture, public StreamOpeningOwner {
 protected:
  StreamOpeningTest() : tasks(std::in_place, loop()), contexts(std::in_place, *tasks) {
    authority_certificate().write(trusted, false);
  }
  ~StreamOpeningTest() override {
    opening.reset();
    contexts.reset();
    tasks.reset();
    ::signal(SIGPIPE, before_);
  }

  StreamLayers layers(Proxy::Kind kind, bool is_tls) const {
    StreamLayers made;
    if (kind != Proxy::Kind::kNone) made.proxy = proxy(kind);
    made.host = "example.org";
    made.port = 443;
    made.is_tls = is_tls;
    made.tls.ca_path = trusted;
    return made;
  }
  void make(const StreamLayers& its_layers) {
    opening.emplace(loop(), *contexts, its_layers, *this);
    const Loop::Round round(loop());
    opening->prepare();
  }
  void start(SocketPair its_pair = local_pair()) {
    pair = std::move(its_pair);
    make_nonblocking(pair.far.get());
    const Loop::Round round(loop());
    opening->start(std::move(pair.near));
  }
  void begin(Proxy::Kind kind, bool is_tls) {
    make(layers(kind, is_tls));
    start();
  }
  // The far end has its turn each time that the near one has had.
  void pump(const std::function<bool()>& is_through) {
    while (!is_through() && log.empty()) loop().service(1);
  }
  void pump_until_told() {
    pump([] { return false; });
  }
  std::string hear(std::size_t size) {
    std::string heard;
    pump([&] {
      std::string some(size - heard.size(), '\0');
      const ssize_t got = ::recv(pair.far.get(), some.data(), some.size(), 0);
      if (got > 0) heard.append(some, 0, static_cast<std::size_t>(got));
      return heard.size() == size;
    });
    return heard;
  }

  void on_opened(Stream its_stream) override {
    const FailingAllocation::Pause pause;
    stream.emplace(std::move(its_stream));
    log.emplace_back("opened");
  }
  void on_opening_failed(Failure its_failure) override {
    const FailingAllocation::Pause pause;
    failure = std::move(its_failure);
    log.emplace_back("failed");
  }

  static constexpr std::string_view kConnect =
      "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n"
      "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n\r\n";

  const TemporaryFolder folder;
  const std::string trusted = folder.path() + "/trusted.pem";
  TlsServer host{host_certificate()};
  TlsServer proxy_server{host_certificate()};
  SocketPair pair;
  std::optional<BackgroundTasks> tasks;
  std::optional<TlsClientContexts> contexts;
  std::optional<StreamOpening> opening;
  std::optional<Stream> stream;
  Failure failure;

 private:
  void (*before_)(int) = ::signal(SIGPIPE, SIG_IGN);  // of the far end, which OpenSSL writes to
};

TEST_F(StreamOpeningTest, WithoutLayersTheSocketIsTheStream) {
  begin(Proxy::Kind::kNone, false);
  ASSERT_EQ(take_log(), (Log{"opened"}));
  EXPECT_FALSE(stream->is_tls());
  EXPECT_EQ(loop().find(stream->fd()), nullptr);
  write_all(pair.far.get(), "a");
  EXPECT_EQ(read_exactly(stream->fd(), 1), "a");
}

TEST_F(StreamOpeningTest, TlsIsAgreedUponAndVerified) {
  begin(Proxy::Kind::kNone, true);
  EXPECT_EQ(opening->phase(), FailurePhase::kTls);
  host.begin(pair.far.get());
  pump([&] { return host.shake_hands(); });
  pump_until_told();
  ASSERT_EQ(take_log(), (Log{"opened"})) << failure.message;
  EXPECT_TRUE(stream->is_tls());
  EXPECT_EQ(host.server_name(), "example.org");
  EXPECT_EQ(loop().find(stream->fd()), nullptr);
}

TEST_F(StreamOpeningTest, AContextThatIsThereBeforeIsNotWaitedFor) {
  make(layers(Proxy::Kind::kNone, true));
  while (tasks->has_pending()) loop().service(-1);
  EXPECT_EQ(take_log(), Log{});
  start();
  host.begin(pair.far.get());
  pump([&] { return host.shake_hands(); });
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"opened"}));
}

TEST_F(StreamOpeningTest, AServerThatIsSomebodyElseIsAFinalFailure) {
  StreamLayers other = layers(Proxy::Kind::kNone, true);
  other.host = "example.com";
  make(other);
  start();
  host.begin(pair.far.get());
  pump([&] { return host.shake_hands(); });
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_EQ(failure.phase, FailurePhase::kTls);
  EXPECT_NE(failure.message.find("example.com"), std::string::npos) << failure.message;
  EXPECT_TRUE(failure.is_final);
  EXPECT_EQ(contexts->size(), 0U) << "its files are read again the next time";
}

TEST_F(StreamOpeningTest, AServerThatSpeaksNoTlsIsAFailure) {
  begin(Proxy::Kind::kNone, true);
  write_all(pair.far.get(), "HTTP/1.1 400 Bad Request\r\n\r\n");
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_FALSE(failure.is_final);
  EXPECT_NE(failure.message.find("example.org"), std::string::npos) << failure.message;
}

TEST_F(StreamOpeningTest, AServerThatEndsInTheHandshakeIsAFailure) {
  begin(Proxy::Kind::kNone, true);
  pair.far.reset();
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_NE(failure.message, "");
  EXPECT_EQ(contexts->size(), 1U) << "its sessions are of use the next time";
}

TEST_F(StreamOpeningTest, AContextThatCannotBeMadeFailsAtOnce) {
  StreamLayers impossible = layers(Proxy::Kind::kNone, true);
  impossible.tls.ca_path = "/no/such/file";
  make(impossible);
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_EQ(failure.message.find("example.org:443: "), 0U) << failure.message;
  EXPECT_NE(failure.message.find("/no/such/file"), std::string::npos) << failure.message;
  EXPECT_TRUE(failure.is_final);
}

TEST_F(StreamOpeningTest, AnHttpProxyIsGoneThrough) {
  begin(Proxy::Kind::kHttp, false);
  EXPECT_EQ(opening->phase(), FailurePhase::kProxy);
  EXPECT_EQ(hear(kConnect.size()), kConnect);
  write_all(pair.far.get(), "HTTP/1.1 200");
  loop().service(0);
  write_all(pair.far.get(), " OK\r\n\r\n");
  pump_until_told();
  ASSERT_EQ(take_log(), (Log{"opened"})) << failure.message;
  write_all(pair.far.get(), "a");
  EXPECT_EQ(read_exactly(stream->fd(), 1), "a");
}

TEST_F(StreamOpeningTest, ASocksProxyIsGoneThrough) {
  begin(Proxy::Kind::kSocks5h, false);
  EXPECT_EQ(hear(4), std::string_view("\x05\x02\x00\x02", 4));
  write_all(pair.far.get(), std::string_view("\x05\x00", 2));
  const std::string_view request(
      "\x05\x01\x00\x03\x0b"
      "example.org\x01\xbb",
      18);
  EXPECT_EQ(hear(request.size()), request);
  write_all(pair.far.get(), std::string_view("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10));
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"opened"})) << failure.message;
}

TEST_F(StreamOpeningTest, AProxyThatRefusesIsAFailure) {
  begin(Proxy::Kind::kHttp, true);
  write_all(pair.far.get(), "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kProxy);
  EXPECT_EQ(failure.phase, FailurePhase::kProxy);
  EXPECT_TRUE(failure.is_final);
  EXPECT_EQ(failure.message.find("password"), std::string::npos);
}

TEST_F(StreamOpeningTest, AProxyThatEndsIsAFailure) {
  begin(Proxy::Kind::kHttp, false);
  hear(kConnect.size());
  pair.far.reset();
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kProxy);
}

TEST_F(StreamOpeningTest, AProxyThatIsLostIsAFailure) {
  make(layers(Proxy::Kind::kHttp, false));
  start(tcp_pair());
  close_with_reset(pair.far);
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kLost);
  EXPECT_EQ(failure.phase, FailurePhase::kProxy);
  EXPECT_EQ(failure.message, "proxy proxy.example:3128: the connection was lost");
  EXPECT_EQ(failure.code, ECONNRESET);
}

TEST_F(StreamOpeningTest, AServerThatIsLostInTheHandshakeIsAFailureWithTheErrorOfTheSystem) {
  make(layers(Proxy::Kind::kNone, true));
  start(tcp_pair());
  close_with_reset(pair.far);
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_EQ(failure.code, ECONNRESET);
}

TEST_F(StreamOpeningTest, AProxyThatSpeaksForTheHostIsAFailure) {
  begin(Proxy::Kind::kHttp, false);
  write_all(pair.far.get(), "HTTP/1.1 200 OK\r\n\r\nx");
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.message, "proxy proxy.example:3128: it sent more than its answer");
}

TEST_F(StreamOpeningTest, TlsIsSpokenThroughAProxy) {
  begin(Proxy::Kind::kHttp, true);
  hear(kConnect.size());
  write_all(pair.far.get(), "HTTP/1.1 200 OK\r\n\r\n");
  host.begin(pair.far.get());
  pump([&] { return host.shake_hands(); });
  pump_until_told();
  ASSERT_EQ(take_log(), (Log{"opened"})) << failure.message;
  EXPECT_EQ(host.server_name(), "example.org");
}

TEST_F(StreamOpeningTest, TlsIsSpokenWithinThatOfAProxy) {
  begin(Proxy::Kind::kHttps, true);
  proxy_server.begin(pair.far.get());
  pump([&] { return proxy_server.shake_hands(); });
  EXPECT_EQ(proxy_server.server_name(), "proxy.example");
  std::string heard;
  pump([&] { return (heard += proxy_server.read()).size() >= kConnect.size(); });
  EXPECT_EQ(heard, kConnect);
  EXPECT_EQ(opening->phase(), FailurePhase::kProxy);
  proxy_server.write("HTTP/1.1 200 OK\r\n\r\n");
  host.begin(proxy_server);
  pump([&] { return host.shake_hands(); });
  pump_until_told();
  ASSERT_EQ(take_log(), (Log{"opened"})) << failure.message;
  EXPECT_EQ(host.server_name(), "example.org");
  const iovec part{const_cast<char*>("ab"), 2};
  EXPECT_EQ(stream->send({&part, 1}).bytes, 2U);
  EXPECT_EQ(host.read(), "ab");
}

TEST_F(StreamOpeningTest, AProxyThatIsSomebodyElseIsAFailureInItsPhase) {
  StreamLayers other = layers(Proxy::Kind::kHttps, true);
  other.proxy.host = "proxy.example.com";
  make(other);
  start();
  proxy_server.begin(pair.far.get());
  pump([&] { return proxy_server.shake_hands(); });
  pump_until_told();
  EXPECT_EQ(take_log(), (Log{"failed"}));
  EXPECT_EQ(failure.kind, FailureKind::kTls);
  EXPECT_EQ(failure.phase, FailurePhase::kProxy);
  EXPECT_NE(failure.message.find("proxy.example.com"), std::string::npos) << failure.message;
}

TEST_F(StreamOpeningTest, AbortedAtAnyTimeItClosesEverythingAndCallsNobody) {
  for (int rounds = 0; rounds < 12; ++rounds) {
    host = TlsServer(host_certificate());
    begin(Proxy::Kind::kHttps, true);
    proxy_server.begin(pair.far.get());
    for (int i = 0; i < rounds; ++i) {
      proxy_server.shake_hands();
      loop().service(1);
      if (i == 8) proxy_server.write("HTTP/1.1 200 OK\r\n\r\n");
    }
    opening->abort();
    pollfd poll{pair.far.get(), POLLIN | POLLHUP, 0};
    while ((poll.revents & POLLHUP) == 0) {
      std::array<char, 4096> some;
      const ssize_t got = ::recv(pair.far.get(), some.data(), some.size(), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN)) break;
      ::poll(&poll, 1, -1);
    }
    loop().service(0);
    EXPECT_EQ(take_log(), Log{});
  }
}

TEST_F(StreamOpeningTest, AnObserverMayAbortItWhenItIsWatched) {
  class Aborting final : public DescriptorObserver {
   public:
    void on_add_fd(int) override { action(); }
    void on_del_fd(int) override {}
    std::function<void()> action = [] {};
  } observer;
  opening.reset();
  contexts.reset();
  tasks.reset();
  LoopOptions options;
  options.observer = &observer;
  open(options);
  tasks.emplace(loop());
  contexts.emplace(*tasks);
  make(layers(Proxy::Kind::kHttp, false));
  observer.action = [&] { opening->abort(); };
  start();
  EXPECT_EQ(take_log(), Log{});
  EXPECT_EQ(hear(kConnect.size()), kConnect);
  char end = 0;
  pump([&] { return ::recv(pair.far.get(), &end, 1, 0) == 0; });
}

// Each allocation in turn; of OpenSSL's, which are some two thousand, only some.
TEST_F(StreamOpeningTest, WithoutMemoryItOpensOrFails) {
  for (std::size_t failing = 1;; failing += failing < 100 ? 1 : 17) {
    pair = local_pair();
    make_nonblocking(pair.far.get());
    const StreamLayers its_layers = layers(Proxy::Kind::kHttp, true);
    bool has_failed = false;
    bool has_thrown = false;
    {
      const FailingAllocation failing_allocation(failing);
      try {
        opening.emplace(loop(), *contexts, its_layers, *this);
        const Loop::Round round(loop());
        opening->prepare();
        if (log.empty()) opening->start(std::move(pair.near));
        if (log.empty()) {
          const FailingAllocation::Pause pause;
          EXPECT_EQ(read_exactly(pair.far.get(), kConnect.size()), kConnect);
          write_all(pair.far.get(), "HTTP/1.1 200 OK\r\n\r\n");
        }
        {
          const FailingAllocation::Pause pause;
          host.begin(pair.far.get());
        }
        pump([&] {
          const FailingAllocation::Pause pause;
          return host.shake_hands();
        });
        pump_until_told();
      } catch (const std::bad_alloc&) {
        has_thrown = true;
      }
      has_failed = failing_allocation.has_failed();
    }
    const Log told = take_log();
    if (!has_failed) {
      EXPECT_EQ(told, (Log{"opened"})) << failure.message;
      return;
    }
    if (has_thrown) {
      opening.reset();
    } else {
      ASSERT_EQ(told.size(), 1U);
    }
    while (tasks->has_pending()) loop().service(1);
  }
}

}  // namespace
}  // namespace websockets
