// SPDX-License-Identifier: MIT
#include "net/tls_server_context.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "certificate_file.h"
#include "net/stream.h"
#include "socket_pairs.h"
#include "tls_client.h"

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
    client_.emplace(far_.get());
    for (int i = 0; i < 10 && (!client_->shake_hands() || stream_->is_in_handshake()); ++i) {
      EXPECT_EQ(receive().status, IoStatus::kWouldBlock);
    }
    ASSERT_FALSE(stream_->is_in_handshake());
    stream_->take_record_count();
  }

  IoResult receive() {
    std::array<std::uint8_t, 1000> bytes;
    return stream_->receive(bytes);
  }

  std::unique_ptr<Stream> stream_;
  std::optional<TlsClient> client_;

 private:
  CertificateFile file_;
  UniqueFd far_;
};

TEST_F(TlsTest, CountsRecords) {
  client_->write("abc");
  client_->write("d");
  EXPECT_EQ(receive().bytes, 3U);
  EXPECT_EQ(stream_->take_record_count(), 1U);
  EXPECT_EQ(receive().bytes, 1U);
  EXPECT_EQ(stream_->take_record_count(), 1U);
  client_->change_keys(3);
  client_->write("e");
  EXPECT_EQ(receive().bytes, 1U);
  EXPECT_EQ(stream_->take_record_count(), 4U);
}

TEST_F(TlsTest, ReadsNoMoreOfWhoDoesNothingButChangeKeys) {
  client_->change_keys(30);
  client_->write("x");
  EXPECT_EQ(receive().bytes, 1U);
  client_->change_keys(5);
  client_->write("x");
  EXPECT_EQ(receive().status, IoStatus::kEnd);
}

TEST_F(TlsTest, LetsKeysBeChangedNowAndThen) {
  const std::string megabyte(1U << 20U, 'x');
  for (int i = 0; i < 40; ++i) {
    client_->change_keys(1);
    std::size_t received = 0;
    for (std::size_t sent = 0; sent < megabyte.size(); sent += 16384) {
      client_->write(std::string_view(megabyte).substr(sent, 16384));
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
