// SPDX-License-Identifier: MIT
#include "net/certificate.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <utility>

namespace websockets {
namespace {

void add(X509_NAME* name, const char* field, const char* value) {
  X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, reinterpret_cast<const unsigned char*>(value), -1, -1, 0);
}

Certificate make_certificate() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0xABC1);
  add(X509_get_subject_name(certificate), "O", "Example");
  add(X509_get_subject_name(certificate), "CN", "alice");
  add(X509_get_issuer_name(certificate), "CN", "issuer");
  ASN1_TIME_set(X509_getm_notBefore(certificate), 1'000'000'000);
  ASN1_TIME_set(X509_getm_notAfter(certificate), 4'000'000'000);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  EVP_PKEY_free(key);
  return Certificate(certificate);
}

TEST(Certificate, MayBeNone) {
  EXPECT_FALSE(Certificate());
  Certificate certificate = make_certificate();
  EXPECT_TRUE(certificate);
  const Certificate moved = std::move(certificate);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(certificate);
}

TEST(Certificate, DescribesItself) {
  const Certificate::Description description = make_certificate().describe();
  EXPECT_EQ(description.subject, "CN=alice,O=Example");
  EXPECT_EQ(description.issuer, "CN=issuer");
  EXPECT_EQ(description.serial, "ABC1");
  EXPECT_EQ(description.fingerprint.size(), 64U);
  EXPECT_EQ(description.fingerprint.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(description.not_before, 1'000'000'000);
  EXPECT_EQ(description.not_after, 4'000'000'000);
}

}  // namespace
}  // namespace websockets
