// SPDX-License-Identifier: MIT
#include "net/tls_client_session.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <string>

#include "net/ssl_session.h"

namespace websockets {
namespace {

class TlsClientSessionTest : public testing::Test {
 protected:
  // What such an error of OpenSSL's is told as.
  static std::string text_of(int library, int reason, long verification = X509_V_OK) {
    const SslContext context(SSL_CTX_new(TLS_client_method()));
    const SslSession session = new_ssl_session(*context, -1);
    SSL_set_connect_state(session.get());
    TlsClientSession::attach(*session, "example.org", "key");
    SSL_set_verify_result(session.get(), verification);
    ERR_clear_error();
    if (library != 0) ERR_raise(library, reason);
    TlsClientSession::of(session.get())->note_failure(*session);
    ERR_clear_error();
    is_verification_ = TlsClientSession::of(session.get())->has_failed_verification(*session);
    return TlsClientSession::of(session.get())->failure_text(*session);
  }

  static inline bool is_verification_ = false;
};

TEST_F(TlsClientSessionTest, BelongsToClientsOnly) {
  const SslContext context(SSL_CTX_new(TLS_method()));
  const SslSession session = new_ssl_session(*context, -1);
  SSL_set_accept_state(session.get());
  EXPECT_EQ(TlsClientSession::of(session.get()), nullptr);
  SSL_set_connect_state(session.get());
  EXPECT_EQ(TlsClientSession::of(session.get()), nullptr);
  TlsClientSession::attach(*session, "example.org", "key");
  ASSERT_NE(TlsClientSession::of(session.get()), nullptr);
  EXPECT_EQ(TlsClientSession::of(session.get())->name(), "example.org");
  EXPECT_EQ(TlsClientSession::of(session.get())->cache_key(), "key");
  EXPECT_EQ(TlsClientSession::of(session.get())->failure_text(*session), "") << "is not lost";
  EXPECT_FALSE(TlsClientSession::of(session.get())->has_failed_verification(*session));
}

TEST_F(TlsClientSessionTest, SaysWhy) {
  const std::string start = "TLS with 'example.org': ";
  EXPECT_EQ(text_of(0, 0), start + "the server has ended the connection");
  EXPECT_EQ(text_of(ERR_LIB_SYS, ECONNRESET), start + "Connection reset by peer");
  EXPECT_EQ(text_of(ERR_LIB_SSL, SSL_R_NO_CIPHERS_AVAILABLE), start + "no ciphers available");
  for (const int reason : {SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG}) {
    EXPECT_EQ(text_of(ERR_LIB_SSL, reason).find(start + "the server does not speak TLS ("), 0U);
  }
  EXPECT_FALSE(is_verification_);
}

TEST_F(TlsClientSessionTest, SaysWhatIsWrongWithTheServer) {
  const std::string start = "TLS with 'example.org': certificate verify failed: ";
  EXPECT_EQ(text_of(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED, X509_V_ERR_CERT_HAS_EXPIRED),
            start + "certificate has expired");
  EXPECT_TRUE(is_verification_);
  EXPECT_EQ(text_of(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED, X509_V_ERR_APPLICATION_VERIFICATION),
            start + "its public key is none of those that are pinned");
  EXPECT_TRUE(is_verification_);
  EXPECT_EQ(text_of(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED, X509_V_ERR_OUT_OF_MEM), start + "out of memory");
  EXPECT_FALSE(is_verification_) << "another attempt may pass";
}

TEST_F(TlsClientSessionTest, TheFirstReasonCounts) {
  const SslContext context(SSL_CTX_new(TLS_client_method()));
  const SslSession session = new_ssl_session(*context, -1);
  SSL_set_connect_state(session.get());
  TlsClientSession::attach(*session, "example.org", "key");
  TlsClientSession& client = *TlsClientSession::of(session.get());
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_CIPHERS_AVAILABLE);
  client.note_failure(*session);
  ERR_clear_error();
  ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
  client.note_failure(*session);
  ERR_clear_error();
  EXPECT_EQ(client.failure_text(*session), "TLS with 'example.org': no ciphers available");
}

}  // namespace
}  // namespace websockets
