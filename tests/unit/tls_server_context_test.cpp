// SPDX-License-Identifier: MIT
#include "net/tls_server_context.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>

#include "certificate_file.h"
#include "net/stream.h"
#include "socket_pairs.h"

namespace websockets {
namespace {

// A server's stream, and a client that has shaken hands with it.
class TlsTest : public testing::Test {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    TlsOptions options;
    options.files = {file_.path(), file_.path()};
    Result<std::unique_ptr<TlsServerContext>> context = TlsServerContext::create(options, nullptr);
    ASSERT_TRUE(context) << context.error().text;
    SocketPair pair = local_pair();
    far_ = std::move(pair.far);
    make_nonblocking(far_.get());
    const int fd = pair.near.get();
    stream_ = std::make_unique<Stream>(std::move(pair.near), (*context)->new_session(fd));
    client_context_.reset(SSL_CTX_new(TLS_client_method()));
    client_.reset(SSL_new(client_context_.get()));
    SSL_set_fd(client_.get(), far_.get());
    SSL_set_connect_state(client_.get());
    for (int i = 0; i < 10 && (stream_->is_in_handshake() || SSL_is_init_finished(client_.get()) == 0); ++i) {
      SSL_do_handshake(client_.get());
      EXPECT_EQ(receive().status, IoStatus::kWouldBlock);
    }
    ASSERT_FALSE(stream_->is_in_handshake());
    stream_->take_record_count();
  }

  IoResult receive() {
    std::array<std::uint8_t, 1000> bytes;
    return stream_->receive(bytes);
  }

  void write(std::string_view text) {
    EXPECT_EQ(SSL_write(client_.get(), text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
  }

  void change_keys(int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_EQ(SSL_key_update(client_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
      EXPECT_EQ(SSL_do_handshake(client_.get()), 1);
    }
  }

  std::unique_ptr<Stream> stream_;
  std::unique_ptr<SSL, SslDeleter> client_;

 private:
  CertificateFile file_;
  UniqueFd far_;
  std::unique_ptr<SSL_CTX, SslDeleter> client_context_;
};

TEST_F(TlsTest, CountsRecords) {
  write("abc");
  write("d");
  EXPECT_EQ(receive().bytes, 3U);
  EXPECT_EQ(stream_->take_record_count(), 1U);
  EXPECT_EQ(receive().bytes, 1U);
  EXPECT_EQ(stream_->take_record_count(), 1U);
  change_keys(3);
  write("e");
  EXPECT_EQ(receive().bytes, 1U);
  EXPECT_EQ(stream_->take_record_count(), 4U);
}

TEST_F(TlsTest, ReadsNoMoreOfWhoDoesNothingButChangeKeys) {
  change_keys(30);
  write("x");
  EXPECT_EQ(receive().bytes, 1U);
  change_keys(5);
  write("x");
  EXPECT_EQ(receive().status, IoStatus::kEnd);
}

TEST_F(TlsTest, LetsKeysBeChangedNowAndThen) {
  const std::string megabyte(1U << 20U, 'x');
  for (int i = 0; i < 40; ++i) {
    change_keys(1);
    std::size_t received = 0;
    for (std::size_t sent = 0; sent < megabyte.size(); sent += 16384) {
      write(std::string_view(megabyte).substr(sent, 16384));
      for (IoResult result = receive(); result.status != IoStatus::kWouldBlock; result = receive()) {
        ASSERT_EQ(result.status, IoStatus::kDone);
        received += result.bytes;
      }
    }
    ASSERT_EQ(received, megabyte.size());
  }
}

}  // namespace
}  // namespace websockets
