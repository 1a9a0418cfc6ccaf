// SPDX-License-Identifier: MIT
#include "net/tls_rules.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstdio>
#include <new>
#include <string>

#include "made_certificate.h"
#include "net/ssl_session.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class TlsRulesTest : public testing::Test {
 protected:
  void SetUp() override { ERR_clear_error(); }  // NOLINT(readability-identifier-naming): GoogleTest's

  std::string load(const CertificateFiles& files) { return load_certificate(*context_, files).text; }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  TemporaryFolder folder_;
  SslContext context_{SSL_CTX_new(TLS_client_method())};
};

TEST_F(TlsRulesTest, HoldForEitherSide) {
  set_tls_rules(*context_);
  EXPECT_EQ(SSL_CTX_get_min_proto_version(context_.get()), TLS1_2_VERSION);
  EXPECT_NE(SSL_CTX_get_options(context_.get()) & SSL_OP_NO_RENEGOTIATION, 0U);
  EXPECT_NE(SSL_CTX_get_mode(context_.get()) & SSL_MODE_RELEASE_BUFFERS, 0);
}

TEST_F(TlsRulesTest, LoadsACertificateAndItsKey) {
  const MadeCertificate certificate({"a", ""});
  certificate.write(path("both.pem"));
  EXPECT_EQ(load({path("both.pem"), path("both.pem")}), "");
  EXPECT_EQ(X509_cmp(SSL_CTX_get0_certificate(context_.get()), certificate.get()), 0);
}

TEST_F(TlsRulesTest, NamesTheFileThatIsWrong) {
  MadeCertificate({"a", ""}).write(path("both.pem"));
  MadeCertificate({"b", ""}).write(path("other.pem"));
  MadeCertificate({"c", ""}).write(path("keyless.pem"), false);
  EXPECT_EQ(load({path("none.pem"), path("both.pem")}),
            "certificate '" + path("none.pem") + "': No such file or directory");
  EXPECT_EQ(load({path("both.pem"), path("none.pem")}),
            "private key '" + path("none.pem") + "': No such file or directory");
  EXPECT_EQ(load({path("both.pem"), path("other.pem")}),
            "private key '" + path("other.pem") + "': key values mismatch");
  EXPECT_EQ(load({path("both.pem"), path("keyless.pem")}).find("private key '" + path("keyless.pem") + "': "), 0U);
}

TEST_F(TlsRulesTest, AsksNobodyForAPassphrase) {
  const MadeCertificate certificate({"a", ""});
  certificate.write(path("a.pem"), false);
  std::FILE* const to = std::fopen(path("key.pem").c_str(), "w");
  PEM_write_PrivateKey(to, certificate.key(), EVP_aes_128_cbc(), reinterpret_cast<const unsigned char*>("secret"), 6,
                       nullptr, nullptr);
  std::fclose(to);
  EXPECT_EQ(load({path("a.pem"), path("key.pem")}), "private key '" + path("key.pem") + "': it is encrypted");
}

TEST_F(TlsRulesTest, AnErrorHasOpensslsReason) {
  EXPECT_EQ(openssl_error("x").text, "x: unknown reason");
  ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_CIPHER_MATCH);
  EXPECT_EQ(openssl_error("x").text, "x: http request");
  EXPECT_EQ(ERR_peek_error(), 0U);
  ERR_raise(ERR_LIB_SYS, EACCES);
  const Error error = openssl_error("x");
  EXPECT_EQ(error.text, "x: Permission denied");
  EXPECT_EQ(error.code, EACCES);
  ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
  ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
  EXPECT_THROW(openssl_error("x"), std::bad_alloc);
}

}  // namespace
}  // namespace websockets
