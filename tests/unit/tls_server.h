// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "made_certificate.h"
#include "net/ssl_session.h"

namespace websockets {

// The server's side of TLS on non-blocking sockets, one after the other. It tells what the client has done.
class TlsServer {
 public:
  explicit TlsServer(const MadeCertificate& certificate, const MadeCertificate* intermediate = nullptr)
      : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context(), certificate.get());
    SSL_CTX_use_PrivateKey(context(), certificate.key());
    if (intermediate != nullptr) SSL_CTX_add1_chain_cert(context(), intermediate->get());
    SSL_CTX_set_mode(context(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_id_context(context(), reinterpret_cast<const unsigned char*>("x"), 1);
    SSL_CTX_set_alpn_select_cb(
        context(),
        [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned int, void*) {
          *chosen = offered + 1;
          *size = *offered;
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
  }

  SSL_CTX* context() const { return context_.get(); }
  SSL* ssl() const { return ssl_.get(); }

  void begin(int fd) {
    ssl_.reset(SSL_new(context()));
    SSL_set_fd(ssl(), fd);
    SSL_set_accept_state(ssl());
  }
  // Within the session of the other one.
  void begin(const TlsServer& outer) {
    ssl_.reset(SSL_new(context()));
    BIO* const bio = BIO_new(BIO_f_ssl());
    BIO_set_ssl(bio, outer.ssl(), BIO_NOCLOSE);
    SSL_set_bio(ssl(), bio, bio);
    SSL_set_accept_state(ssl());
  }

  // Goes on with the handshake as far as it can. Returns whether it is through.
  bool shake_hands() {
    ERR_clear_error();
    return SSL_do_handshake(ssl()) == 1;
  }
  // Returns how much was taken.
  std::size_t write(std::string_view text) {
    ERR_clear_error();
    std::size_t count = 0;
    return SSL_write_ex(ssl(), text.data(), text.size(), &count) == 1 ? count : 0;
  }
  // What has arrived.
  std::string read() {
    ERR_clear_error();
    std::string all;
    std::array<char, 16384> some;
    for (std::size_t count = 0; SSL_read_ex(ssl(), some.data(), some.size(), &count) == 1;) {
      all.append(some.data(), count);
    }
    return all;
  }

  // What the client has asked for; "none".
  std::string server_name() const {
    const char* const name = SSL_get_servername(ssl(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "none" : name;
  }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl(), &name, &size);
    return std::string(reinterpret_cast<const char*>(name), size);
  }
  bool was_resumed() const { return SSL_session_reused(ssl()) == 1; }

 private:
  SslContext context_;
  SslSession ssl_;
};

}  // namespace websockets
