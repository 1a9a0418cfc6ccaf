// SPDX-License-Identifier: MIT
#include "net/ssl_session.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "made_certificate.h"
#include "net/stream.h"
#include "net/tls_client_context.h"
#include "socket_pairs.h"
#include "tls_server.h"

namespace websockets {
namespace {

iovec part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

// A text in which every place can be told from the others.
std::string numbered_text(std::size_t size) {
  std::string text;
  for (std::size_t number = 0; text.size() < size; ++number) text.append(std::to_string(number)).append(" ");
  text.resize(size);
  return text;
}

// A client's stream whose session is within another one, as behind a proxy that is spoken to by TLS; both agreed upon.
class NestedTest : public testing::Test {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    TlsClientOptions options;
    options.verify = false;
    const auto made = TlsClientContext::create(options);
    ASSERT_TRUE(made) << made.error().text;
    SocketPair pair = tcp_pair();
    far_ = std::move(pair.far);
    make_nonblocking(far_.get());
    const int fd = pair.near.get();

    proxy_.begin(far_.get());
    SslSession outer = (*made)->new_session(fd, "proxy.example", "proxy.example:443");
    while (SSL_do_handshake(outer.get()) != 1) proxy_.shake_hands();
    while (!proxy_.shake_hands()) continue;

    server_.begin(proxy_);
    stream_.emplace(std::move(pair.near), (*made)->new_session(fd, "example.org", "example.org:443", std::move(outer)));
    EXPECT_EQ(stream_->handshake().status, IoStatus::kWouldBlock);
    while (stream_->handshake().status == IoStatus::kWouldBlock) server_.shake_hands();
    EXPECT_EQ(stream_->tls_error(), "");
    while (!server_.shake_hands()) continue;
    // Tickets.
    EXPECT_EQ(receive(1), "");
  }

  std::string receive(std::size_t most) {
    std::string text(most, '\0');
    const IoResult result = stream_->receive({reinterpret_cast<std::uint8_t*>(text.data()), most});
    EXPECT_TRUE(result.status == IoStatus::kDone || result.status == IoStatus::kWouldBlock) << stream_->tls_error();
    text.resize(result.bytes);
    return text;
  }
  void wait_until_readable() const {
    pollfd waiting{.fd = stream_->fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
  }

  MadeCertificate certificate_{{"leaf", "DNS:example.org"}};
  TlsServer proxy_{certificate_};
  TlsServer server_{certificate_};
  UniqueFd far_;
  std::optional<Stream> stream_;
};

TEST_F(NestedTest, EchoesAMegabyte) {
  const std::string text = numbered_text(1U << 20U);
  std::size_t sent = 0;
  std::string heard;     // by the server
  std::size_t said = 0;  // by the server
  std::string received;
  while (received.size() < text.size()) {
    if (sent < text.size()) {
      const iovec rest = part(std::string_view(text).substr(sent));
      const IoResult result = stream_->send({&rest, 1});
      ASSERT_TRUE(result.status == IoStatus::kDone || result.status == IoStatus::kWouldBlock) << stream_->tls_error();
      sent += result.bytes;
    }
    heard += server_.read();
    if (said < heard.size()) said += server_.write(std::string_view(heard).substr(said));
    received += receive(16384);
  }
  EXPECT_TRUE(heard == text);
  EXPECT_TRUE(received == text);
}

TEST_F(NestedTest, SeesWhatTheOuterOneHolds) {
  EXPECT_FALSE(stream_->has_buffered_input());
  server_.write("a");
  server_.write("b");
  // Until the kernel has all: both are short.
  std::array<char, 1000> bytes;
  ssize_t before = -1;
  for (ssize_t now = 0; now != before || now < 80;) {
    before = now;
    wait_until_readable();
    now = ::recv(stream_->fd(), bytes.data(), bytes.size(), MSG_PEEK);
  }
  EXPECT_EQ(receive(10), "a");
  EXPECT_LT(::recv(stream_->fd(), bytes.data(), bytes.size(), MSG_PEEK), 0);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(stream_->has_buffered_input());
  EXPECT_EQ(receive(10), "b");
  EXPECT_EQ(receive(10), "");
  EXPECT_FALSE(stream_->has_buffered_input());
}

TEST_F(NestedTest, ARecordIsOneOfTheOuterOne) {
  const std::string text(16384, 'x');
  const iovec whole = part(text);
  EXPECT_EQ(stream_->send({&whole, 1}).bytes, 16000U);
}

TEST_F(NestedTest, EndsBoth) {
  stream_->shutdown_send();
  EXPECT_EQ(server_.read(), "");
  EXPECT_NE(SSL_get_shutdown(server_.ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
  EXPECT_EQ(proxy_.read(), "");
  EXPECT_NE(SSL_get_shutdown(proxy_.ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
  const iovec late = part("x");
  EXPECT_EQ(stream_->send({&late, 1}).status, IoStatus::kFailed);
}

TEST_F(NestedTest, TheEndOfTheOuterOneAloneIsAFailure) {
  SSL_shutdown(proxy_.ssl());
  wait_until_readable();
  std::array<std::uint8_t, 10> bytes;
  EXPECT_EQ(stream_->receive(bytes).status, IoStatus::kFailed);
  EXPECT_EQ(stream_->tls_error(), "TLS with 'example.org': the server has ended the connection");
}

TEST_F(NestedTest, SaysWhatTheSocketSaid) {
  close_with_reset(far_);
  wait_until_readable();
  std::array<std::uint8_t, 10> bytes;
  EXPECT_EQ(stream_->receive(bytes).status, IoStatus::kFailed);
  EXPECT_EQ(stream_->tls_error(), "TLS with 'example.org': Connection reset by peer");
}

TEST(SslSession, KnowsWhatItIsWithin) {
  const SslContext context(SSL_CTX_new(TLS_method()));
  SslSession outer = new_ssl_session(*context, 0);
  ssl_st* const within = outer.get();
  EXPECT_EQ(session_below(outer.get()), nullptr);
  const SslSession inner = new_ssl_session(*context, 0, std::move(outer));
  EXPECT_EQ(session_below(inner.get()), within);
}

TEST(SslSession, KeepsWhatTheSocketHasRefused) {
  const SslContext context(SSL_CTX_new(TLS_client_method()));
  SocketPair pair = local_pair();
  const SslSession session = new_ssl_session(*context, pair.near.get());
  SSL_set_connect_state(session.get());
  EXPECT_EQ(SSL_do_handshake(session.get()), -1);
  EXPECT_EQ(socket_error(session.get()), 0) << "nothing has arrived yet, which is no refusal";
  pair.far.reset();
  EXPECT_LE(SSL_do_handshake(session.get()), 0);
  EXPECT_EQ(socket_error(session.get()), ECONNRESET);
}

// A server that has nothing to say but tickets.
TEST(SslSession, ReadsNoMoreOfAServerThatGivesOutTicketsOnly) {
  TlsClientOptions options;
  options.verify = false;
  const auto made = TlsClientContext::create(options);
  ASSERT_TRUE(made) << made.error().text;
  for (const int count : {20, 40}) {
    TlsServer server(MadeCertificate({"leaf", ""}));
    SSL_CTX_set_num_tickets(server.context(), 1);
    SocketPair pair = local_pair();
    make_nonblocking(pair.far.get());
    server.begin(pair.far.get());
    const int fd = pair.near.get();
    Stream stream(std::move(pair.near), (*made)->new_session(fd, "a", "a"));
    while (stream.handshake().status == IoStatus::kWouldBlock) server.shake_hands();
    server.shake_hands();
    for (int i = 0; i < count; ++i) {
      SSL_new_session_ticket(server.ssl());
      server.write("x");
    }
    std::array<std::uint8_t, 10> bytes;
    IoResult result{IoStatus::kDone, 0};
    while (result.status == IoStatus::kDone) result = stream.receive(bytes);
    EXPECT_EQ(result.status, count == 20 ? IoStatus::kWouldBlock : IoStatus::kEnd);
  }
}

}  // namespace
}  // namespace websockets
