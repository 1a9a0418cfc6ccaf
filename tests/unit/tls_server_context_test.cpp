// SPDX-License-Identifier: MIT
#include "net/tls_server_context.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "net/stream.h"
#include "socket_pairs.h"

namespace websockets {
namespace {

// A certificate of its own and its key, in one file while it lives.
class CertificateFile {
 public:
  CertificateFile() {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* const to = std::fopen(path_.c_str(), "w");
    PEM_write_X509(to, certificate);
    PEM_write_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(to);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~CertificateFile() { ::unlink(path_.c_str()); }
  CertificateFile(const CertificateFile&) = delete;
  CertificateFile& operator=(const CertificateFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "websockets-tls-test-" + std::to_string(::getpid()) + ".pem";
};

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
