// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.h"

namespace websockets {

// The client's side of TLS on a non-blocking socket. It believes any certificate.
class TlsClient {
 public:
  explicit TlsClient(int fd) : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
    SSL_set_fd(ssl_.get(), fd);
    SSL_set_connect_state(ssl_.get());
  }

  // Goes on with the handshake as far as it can. Returns whether it is through.
  bool shake_hands() { return SSL_do_handshake(ssl_.get()) == 1; }

  // As one record.
  void write(std::string_view text) {
    EXPECT_EQ(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
  }
  // What has arrived.
  std::string read() {
    std::string all;
    std::array<char, 16384> some;
    for (std::size_t count = 0; SSL_read_ex(ssl_.get(), some.data(), some.size(), &count) == 1;) {
      all.append(some.data(), count);
    }
    return all;
  }
  void change_keys(int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_EQ(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
      EXPECT_TRUE(shake_hands());
    }
  }

 private:
  std::unique_ptr<SSL_CTX, SslDeleter> context_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
};

}  // namespace websockets
