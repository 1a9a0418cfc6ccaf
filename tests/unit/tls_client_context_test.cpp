// SPDX-License-Identifier: MIT
#include "net/tls_client_context.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "failing_allocations.h"
#include "made_certificate.h"
#include "net/stream.h"
#include "socket_pairs.h"
#include "temporary_folder.h"
#include "tls_server.h"

namespace websockets {
namespace {

using Context = std::shared_ptr<TlsClientContext>;

constexpr std::string_view kHost = "example.org";

// Has another value as long as this is there.
class EnvironmentVariable {
 public:
  EnvironmentVariable(std::string name, const std::string& value) : name_(std::move(name)) {
    if (const char* const before = std::getenv(name_.c_str())) before_ = before;
    set(value);
  }
  ~EnvironmentVariable() { before_ ? set(*before_) : static_cast<void>(::unsetenv(name_.c_str())); }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;
  void set(const std::string& value) const { ::setenv(name_.c_str(), value.c_str(), 1); }

 private:
  const std::string name_;
  std::optional<std::string> before_;
};

// The client's end of a connection whose other end a server has.
class Connection {
 public:
  Connection(const TlsClientContext& context, std::string_view name, std::string_view key = "example.org:443",
             TlsServer* server = nullptr)
      : Connection(local_pair(), context, name, key, server) {}

  int far() const { return far_.get(); }

  // Until this side has come to an end of the handshake, and the server can do no more either.
  IoResult shake_hands(const std::function<void()>& serve) {
    IoResult result{IoStatus::kWouldBlock, 0};
    for (int i = 0; i < 20 && result.status == IoStatus::kWouldBlock; ++i) {
      result = stream->handshake();
      serve();
    }
    return result;
  }
  IoResult receive() {
    std::array<std::uint8_t, 16384> bytes;
    const IoResult result = stream->receive(bytes);
    received.append(reinterpret_cast<const char*>(bytes.data()), result.bytes);
    return result;
  }

  std::optional<Stream> stream;
  std::string received;

 private:
  Connection(SocketPair pair, const TlsClientContext& context, std::string_view name, std::string_view key,
             TlsServer* server)
      : far_(std::move(pair.far)) {
    make_nonblocking(far());
    if (server != nullptr) server->begin(far());
    const int fd = pair.near.get();
    stream.emplace(std::move(pair.near), context.new_session(fd, name, key));
  }

  UniqueFd far_;
};

class TlsClientContextTest : public testing::Test {
 protected:
  TlsClientContextTest() {
    options_.ca_path = folder_.path() + "/root.pem";
    root_.write(options_.ca_path, false);
  }

  MadeCertificate leaf(const std::string& alternatives) const {
    return MadeCertificate({"leaf", alternatives}, &root_);
  }
  Context make() const { return make(options_); }
  static Context make(const TlsClientOptions& options) {
    Result<Context> made = TlsClientContext::create(options);
    EXPECT_TRUE(made) << made.error().text;
    return made ? *made : nullptr;
  }
  static std::string creation_error(const TlsClientOptions& options) {
    const Result<Context> made = TlsClientContext::create(options);
    EXPECT_FALSE(made);
    return made.error().text;
  }

  // "": both have agreed; else why the client has not, and whether that was because of who the server is.
  static std::string outcome(const Context& context, TlsServer& server, std::string_view name) {
    Connection connection(*context, name, "example.org:443", &server);
    const IoResult result = connection.shake_hands([&] { server.shake_hands(); });
    const std::string text = connection.stream->tls_error();
    EXPECT_EQ(result.status == IoStatus::kDone, text.empty());
    EXPECT_NE(result.status, IoStatus::kWouldBlock);
    EXPECT_EQ(connection.stream->tls_verification_failed(),
              text.find("certificate verify failed") != std::string::npos);
    return text;
  }
  std::string outcome(TlsServer& server, std::string_view name = kHost) const { return outcome(make(), server, name); }

  TemporaryFolder folder_;
  MadeCertificate root_{{.name = "root", .alternatives = "", .is_authority = true}};
  TlsClientOptions options_;
};

TEST_F(TlsClientContextTest, Connects) {
  TlsServer server(leaf("DNS:example.org"));
  Connection connection(*make(), kHost, "example.org:443", &server);
  EXPECT_EQ(connection.stream->handshake().status, IoStatus::kWouldBlock);
  EXPECT_FALSE(connection.stream->wants_write());
  EXPECT_TRUE(connection.stream->is_in_handshake());
  EXPECT_EQ(connection.shake_hands([&] { server.shake_hands(); }).status, IoStatus::kDone);
  EXPECT_FALSE(connection.stream->is_in_handshake());
  EXPECT_EQ(connection.stream->tls_error(), "");
  EXPECT_EQ(connection.stream->peer_certificate().describe().subject, "CN=leaf");
  EXPECT_EQ(server.server_name(), "example.org");
  EXPECT_EQ(server.protocol(), "http/1.1");
  EXPECT_EQ(SSL_version(server.ssl()), TLS1_3_VERSION);

  EXPECT_EQ(server.write("hello"), 5U);
  EXPECT_EQ(connection.receive().status, IoStatus::kDone);
  EXPECT_EQ(connection.received, "hello");
  std::string text = "world";
  const iovec part{text.data(), text.size()};
  EXPECT_EQ(connection.stream->send({&part, 1}).bytes, 5U);
  EXPECT_EQ(server.read(), "world");
}

// --- Whom it believes ---

TEST_F(TlsClientContextTest, NamesWhatIsWrongWithACertificate) {
  const MadeCertificate intermediate({.name = "intermediate", .alternatives = "", .is_authority = true}, &root_);
  struct Case {
    MadeCertificate certificate;
    std::string name;
    std::string reason;
  };
  const std::array cases{
      Case{MadeCertificate({"old", "DNS:example.org", -1000, -500}, &root_), "example.org", "certificate has expired"},
      Case{MadeCertificate({"young", "DNS:example.org", 500, 1000}, &root_), "example.org",
           "certificate is not yet valid"},
      Case{leaf("DNS:example.org"), "example.com", "hostname mismatch"},
      Case{leaf("DNS:w*.example.org"), "www.example.org", "hostname mismatch"},
      Case{leaf("DNS:*.example.org"), "a.b.example.org", "hostname mismatch"},
      Case{leaf("IP:127.0.0.1"), "127.0.0.2", "IP address mismatch"},
      Case{leaf("DNS:127.0.0.1"), "127.0.0.1", "IP address mismatch"},
      Case{leaf("IP:::1"), "::2", "IP address mismatch"},
      Case{leaf("DNS:example.org"), "", "hostname mismatch"},
      Case{leaf("DNS:example.org"), std::string("example.org\0.com", 16), "hostname mismatch"},
      Case{MadeCertificate({"self", "DNS:example.org"}), "example.org", "self-signed certificate"},
      Case{MadeCertificate({"leaf", "DNS:example.org"}, &intermediate), "example.org",
           "unable to get local issuer certificate"},
  };
  TlsClientOptions trusting = options_;
  trusting.verify = false;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.reason + ": " + one.name);
    TlsServer server(one.certificate);
    const std::string name = one.name.find('\0') == std::string::npos ? one.name : "";
    EXPECT_EQ(outcome(server, one.name), "TLS with '" + name + "': certificate verify failed: " + one.reason);
    EXPECT_EQ(outcome(make(trusting), server, one.name), "");
  }
}

TEST_F(TlsClientContextTest, BelievesWhatIsRight) {
  const MadeCertificate intermediate({.name = "intermediate", .alternatives = "", .is_authority = true}, &root_);
  const std::array<std::pair<std::string, std::string>, 6> cases{{
      {"DNS:example.org", "EXAMPLE.org"},
      {"DNS:example.org", "example.org."},
      {"DNS:*.example.org", "www.example.org"},
      {"IP:127.0.0.1", "127.0.0.1"},
      {"IP:::1", "0:0:0:0:0:0:0:1"},
      {"IP:fe80::1", "fe80::1%lo"},
  }};
  for (const auto& [alternatives, name] : cases) {
    TlsServer server(leaf(alternatives));
    EXPECT_EQ(outcome(server, name), "") << name;
  }
  TlsServer with_intermediate(MadeCertificate({"leaf", "DNS:example.org"}, &intermediate), &intermediate);
  EXPECT_EQ(outcome(with_intermediate), "");
}

TEST_F(TlsClientContextTest, ServerNameStandsForTheHost) {
  options_.server_name = "other.example";
  TlsServer server(leaf("DNS:other.example"));
  EXPECT_EQ(outcome(server, "127.0.0.1"), "");
  EXPECT_EQ(server.server_name(), "other.example");
  TlsServer wrong(leaf("IP:127.0.0.1"));
  EXPECT_EQ(outcome(wrong, "127.0.0.1"), "TLS with 'other.example': certificate verify failed: hostname mismatch");
}

TEST_F(TlsClientContextTest, NamesTheServerButNoLiteral) {
  TlsServer server(leaf("DNS:example.org,IP:127.0.0.1,IP:::1,IP:fe80::1"));
  const std::array<std::pair<std::string, std::string>, 5> cases{{
      {"example.org", "example.org"},
      {"example.org.", "example.org"},
      {"127.0.0.1", "none"},
      {"::1", "none"},
      {"fe80::1%eth0", "none"},
  }};
  for (const auto& [name, seen] : cases) {
    EXPECT_EQ(outcome(server, name), "");
    EXPECT_EQ(server.server_name(), seen) << name;
  }
}

TEST_F(TlsClientContextTest, SaysWhereItLookedForAStore) {
  const std::string nowhere = folder_.path() + "/nowhere";
  const EnvironmentVariable file("SSL_CERT_FILE", nowhere + ".pem");
  const EnvironmentVariable folder("SSL_CERT_DIR", nowhere);
  const std::string error = creation_error({});
  file.set(options_.ca_path);
  options_.ca_path.clear();
  TlsServer server(leaf("DNS:example.org"));
  EXPECT_EQ(outcome(server), "") << "is there";
  EXPECT_EQ(error, "no store of certificate authorities was found: looked for SSL_CERT_FILE '" + nowhere +
                       ".pem', SSL_CERT_DIR '" + nowhere + "'");
}

TEST_F(TlsClientContextTest, NamesTheFileThatIsWrong) {
  const std::string nowhere = folder_.path() + "/nowhere.pem";
  const std::string suffix = "'" + nowhere + "': No such file or directory";
  TlsClientOptions trusting = options_;
  trusting.ca_path = nowhere;
  EXPECT_EQ(creation_error(trusting), "CA " + suffix);
  options_.files.certificate = nowhere;
  EXPECT_EQ(creation_error(options_), "certificate " + suffix);
  options_.files = {options_.ca_path, nowhere};
  EXPECT_EQ(creation_error(options_), "private key " + suffix);
  options_.files = {"", nowhere};
  EXPECT_EQ(creation_error(options_), "private key '" + nowhere + "': it has no certificate");
}

TEST_F(TlsClientContextTest, WithoutVerificationNoStoreIsNeeded) {
  options_.verify = false;
  options_.ca_path = "/nowhere";
  EXPECT_NE(make(), nullptr);
}

// --- Pins ---

TEST_F(TlsClientContextTest, BelievesAPinnedKey) {
  const MadeCertificate certificate = leaf("DNS:example.org");
  const std::string other = leaf("DNS:example.org").pin();
  TlsServer server(certificate);
  for (const bool verify : {true, false}) {
    options_.verify = verify;
    options_.pinned_keys = {other, certificate.pin()};
    EXPECT_EQ(outcome(server), "");
    options_.pinned_keys = {other};
    EXPECT_EQ(outcome(server),
              "TLS with 'example.org': certificate verify failed: its public key is none of those that are pinned");
  }
}

TEST_F(TlsClientContextTest, APinIsNoReasonToBelieveTheRest) {
  const MadeCertificate certificate({"self", "DNS:example.org"});
  options_.pinned_keys = {certificate.pin()};
  TlsServer server(certificate);
  EXPECT_EQ(outcome(server), "TLS with 'example.org': certificate verify failed: self-signed certificate");
}

TEST_F(TlsClientContextTest, TakesNoMalformedPin) {
  options_.pinned_keys = {"sha256//abc"};
  EXPECT_EQ(creation_error(options_),
            "pinned key 'sha256//abc': it is not 'sha256//' and the SHA-256 of a public key in base64");
}

// --- Servers that will not ---

TEST_F(TlsClientContextTest, RefusesOldTls) {
  TlsServer server(leaf("DNS:example.org"));
  SSL_CTX_set_security_level(server.context(), 0);
  SSL_CTX_set_min_proto_version(server.context(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(server.context(), TLS1_1_VERSION);
  EXPECT_EQ(outcome(server), "TLS with 'example.org': tlsv1 alert protocol version");
  SSL_CTX_set_max_proto_version(server.context(), TLS1_2_VERSION);
  EXPECT_EQ(outcome(server), "");
}

TEST_F(TlsClientContextTest, SaysThatAServerDoesNotSpeakTls) {
  for (const std::string_view answer :
       {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "220 smtp.example ESMTP\r\n", "SSH-2.0-x\r\n"}) {
    Connection connection(*make(), kHost);
    EXPECT_EQ(connection.stream->handshake().status, IoStatus::kWouldBlock);
    write_all(connection.far(), answer);
    EXPECT_EQ(connection.stream->handshake().status, IoStatus::kFailed);
    EXPECT_EQ(connection.stream->tls_error(),
              "TLS with 'example.org': the server does not speak TLS (wrong version number)");
    EXPECT_FALSE(connection.stream->tls_verification_failed());
  }
}

TEST_F(TlsClientContextTest, NeverGoesOnWithoutTls) {
  Connection connection(*make(), kHost);
  EXPECT_EQ(connection.stream->handshake().status, IoStatus::kWouldBlock);
  write_all(connection.far(), "HTTP/1.1 101 Switching Protocols\r\n\r\n");
  EXPECT_FALSE(connection.stream->fell_back_from_tls());
  EXPECT_TRUE(connection.stream->is_tls());
}

TEST_F(TlsClientContextTest, AServerThatHasSpokenTlsDoesSpeakIt) {
  TlsServer server(leaf("DNS:example.org"));
  SSL_CTX_set_max_proto_version(server.context(), TLS1_2_VERSION);
  Connection connection(*make(), kHost, "key", &server);
  EXPECT_EQ(connection.shake_hands([&] { server.shake_hands(); }).status, IoStatus::kDone);
  write_all(connection.far(), "HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(connection.receive().status, IoStatus::kFailed);
  EXPECT_EQ(connection.stream->tls_error(), "TLS with 'example.org': wrong version number");
}

TEST_F(TlsClientContextTest, SaysThatAServerHasGone) {
  for (const bool with_reset : {false, true}) {
    SocketPair pair = tcp_pair();
    const int fd = pair.near.get();
    Stream stream(std::move(pair.near), make()->new_session(fd, kHost, "key"));
    EXPECT_EQ(stream.handshake().status, IoStatus::kWouldBlock);
    with_reset ? close_with_reset(pair.far) : static_cast<void>(::shutdown(pair.far.get(), SHUT_WR));
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
    EXPECT_EQ(stream.handshake().status, IoStatus::kFailed);
    EXPECT_EQ(stream.tls_error(), with_reset ? "TLS with 'example.org': Connection reset by peer"
                                             : "TLS with 'example.org': the server has ended the connection");
  }
}

TEST_F(TlsClientContextTest, SaysThatAServerHasSaidGoodbye) {
  Connection connection(*make(), kHost);
  EXPECT_EQ(connection.stream->handshake().status, IoStatus::kWouldBlock);
  write_all(connection.far(), std::string_view("\x15\x03\x03\0\2\1\0", 7));  // close_notify (RFC 8446 6.1)
  EXPECT_EQ(connection.stream->handshake().status, IoStatus::kFailed);
  EXPECT_EQ(connection.stream->tls_error(), "TLS with 'example.org': the server has ended the connection");
}

// --- Client certificates ---

TEST_F(TlsClientContextTest, ShowsItsCertificateWhenItIsAskedFor) {
  const std::string both = folder_.path() + "/both.pem";
  const MadeCertificate client({"alice", ""}, &root_);
  client.write(both);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsServer server(leaf("DNS:example.org"));
    SSL_CTX_set_max_proto_version(server.context(), version);
    SSL_CTX_load_verify_file(server.context(), options_.ca_path.c_str());
    SSL_CTX_set_verify(server.context(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);

    options_.files.certificate = both;
    EXPECT_EQ(outcome(server), "");
    const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(server.ssl()), &X509_free);
    EXPECT_EQ(X509_cmp(shown.get(), client.get()), 0);

    options_.files.certificate.clear();
    Connection connection(*make(), kHost, "key", &server);
    IoResult result = connection.shake_hands([&] { server.shake_hands(); });
    if (version == TLS1_3_VERSION) {
      EXPECT_EQ(result.status, IoStatus::kDone) << "the server says so later";
      result = connection.receive();
    }
    EXPECT_EQ(result.status, IoStatus::kFailed);
    EXPECT_EQ(connection.stream->tls_error(), version == TLS1_3_VERSION
                                                  ? "TLS with 'example.org': tlsv13 alert certificate required"
                                                  : "TLS with 'example.org': sslv3 alert handshake failure");
    EXPECT_TRUE(connection.stream->is_in_handshake()) << "or a channel would not tell its handler";
  }
}

// --- Without memory ---

TEST_F(TlsClientContextTest, WithoutMemoryThereIsNoContext) {
  options_.pinned_keys = {root_.pin()};
  bool has_failed = true;
  for (std::size_t nth = 1; has_failed; ++nth) {
    const FailingAllocation failing(nth);
    try {
      const Result<Context> made = TlsClientContext::create(options_);
      has_failed = failing.has_failed();
      EXPECT_TRUE(made || has_failed) << made.error().text;
    } catch (const std::bad_alloc&) {
      EXPECT_TRUE(failing.has_failed());
    }
  }
}

// Whether the client, whose nth allocation fails, believes the server; `has_failed`: there was an nth one.
bool believes_without_memory(const TlsClientContext& context, TlsServer& server, std::size_t nth, bool& has_failed) {
  SocketPair pair = local_pair();
  make_nonblocking(pair.far.get());
  server.begin(pair.far.get());
  const int fd = pair.near.get();
  const FailingAllocation failing(nth);
  IoResult result{IoStatus::kWouldBlock, 0};
  try {
    Stream stream(std::move(pair.near), context.new_session(fd, kHost, "example.org:443"));
    for (int i = 0; i < 10 && result.status == IoStatus::kWouldBlock; ++i) {
      result = stream.handshake();
      const FailingAllocation::Pause pause;
      server.shake_hands();
    }
    std::array<std::uint8_t, 100> bytes;
    static_cast<void>(stream.receive(bytes));  // tickets
    EXPECT_TRUE(result.status == IoStatus::kDone || !stream.tls_error().empty());
    stream.close();
  } catch (const std::bad_alloc&) {
    EXPECT_TRUE(failing.has_failed());
  }
  has_failed = failing.has_failed();
  return result.status == IoStatus::kDone;
}

TEST_F(TlsClientContextTest, WithoutMemoryNobodyIsBelievedWhoIsNotOtherwise) {
  const MadeCertificate certificate = leaf("DNS:example.org");
  TlsServer server(certificate);
  TlsServer stranger(MadeCertificate({"self", "DNS:example.org"}));
  TlsServer other(leaf("DNS:example.com"));
  TlsServer unpinned(leaf("DNS:example.org"));
  options_.pinned_keys = {certificate.pin()};
  const Context context = make();
  for (TlsServer* const each : {&server, &stranger, &other, &unpinned}) {
    bool has_failed = true;
    std::size_t nth = 1;
    for (; has_failed; ++nth) {
      const bool is_believed = believes_without_memory(*context, *each, nth, has_failed);
      ASSERT_FALSE(is_believed && each != &server) << nth;
      EXPECT_TRUE(is_believed || has_failed || each != &server);
    }
    EXPECT_GT(nth, 100U) << "OpenSSL's count, too";
  }
}

// --- Resumption ---

class ResumptionTest : public TlsClientContextTest, public testing::WithParamInterface<int> {
 protected:
  ResumptionTest() { SSL_CTX_set_max_proto_version(server_.context(), GetParam()); }

  // Whether the server has seen a session again.
  bool resumes(const Context& context, std::string_view name = kHost, std::string_view key = "example.org:443") {
    Connection connection(*context, name, key, &server_);
    EXPECT_EQ(connection.shake_hands([&] { server_.shake_hands(); }).status, IoStatus::kDone);
    EXPECT_EQ(connection.receive().status, IoStatus::kWouldBlock) << "tickets";
    EXPECT_EQ(connection.stream->peer_certificate().describe().subject, "CN=leaf");
    return server_.was_resumed();
  }

  TlsServer server_{leaf("DNS:example.org,DNS:example.com")};
};

TEST_P(ResumptionTest, ResumesASession) {
  const Context context = make();
  EXPECT_FALSE(resumes(context));
  EXPECT_TRUE(resumes(context));
  EXPECT_TRUE(resumes(context));
}

TEST_P(ResumptionTest, ResumesNoneOfAnotherContextKeyOrName) {
  const Context context = make();
  EXPECT_FALSE(resumes(context));
  EXPECT_FALSE(resumes(make()));
  EXPECT_FALSE(resumes(context, kHost, "example.org:444"));
  EXPECT_FALSE(resumes(context, "example.com"));
  EXPECT_TRUE(resumes(context));
}

TEST_P(ResumptionTest, UsesATicketOfTls13Once) {
  const Context context = make();
  SSL_CTX_set_num_tickets(server_.context(), 1);
  EXPECT_FALSE(resumes(context));
  const Connection first(*context, kHost);
  EXPECT_EQ(resumes(context), GetParam() == TLS1_2_VERSION) << "the first one may be using it";
}

TEST_P(ResumptionTest, ResumesNoneOfACertificateThatHasExpired) {
  options_.verify = false;
  const Context context = make();
  for (const bool is_over : {false, true}) {
    TlsServer server(MadeCertificate({"old", "DNS:example.org", -1000, is_over ? -500 : 500}, &root_));
    SSL_CTX_set_max_proto_version(server.context(), GetParam());
    for (int i = 0; i < 2; ++i) {
      Connection connection(*context, kHost, is_over ? "old" : "young", &server);
      EXPECT_EQ(connection.shake_hands([&] { server.shake_hands(); }).status, IoStatus::kDone);
      EXPECT_EQ(connection.receive().status, IoStatus::kWouldBlock);
      EXPECT_EQ(server.was_resumed(), i == 1 && !is_over);
    }
  }
}

TEST_P(ResumptionTest, KeepsNoneOfAServerThatIsNotBelieved) {
  options_.pinned_keys = {leaf("DNS:example.org").pin()};
  const Context context = make();
  EXPECT_NE(outcome(context, server_, kHost), "");
  EXPECT_NE(outcome(context, server_, kHost), "");
  EXPECT_FALSE(server_.was_resumed());
}

INSTANTIATE_TEST_SUITE_P(Each, ResumptionTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) { return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

}  // namespace
}  // namespace websockets
