// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

namespace websockets {

// A certificate and its key, signed by another one or by itself.
class MadeCertificate {
 public:
  struct Parts {
    std::string name;          // CN; "": none
    std::string alternatives;  // "DNS:example.org,IP:192.0.2.1"; "": none
    long begins_in_seconds = -60;
    long ends_in_seconds = 86400;
    bool is_authority = false;
  };

  explicit MadeCertificate(const Parts& parts, const MadeCertificate* issuer = nullptr)
      : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free), certificate_(X509_new(), &X509_free) {
    X509* const made = certificate_.get();
    X509_set_version(made, X509_VERSION_3);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), parts.begins_in_seconds);
    X509_gmtime_adj(X509_getm_notAfter(made), parts.ends_in_seconds);
    if (!parts.name.empty()) {
      X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(parts.name.c_str()), -1, -1, 0);
    }
    X509_set_issuer_name(made, X509_get_subject_name(issuer == nullptr ? made : issuer->get()));
    X509_set_pubkey(made, key());
    if (parts.is_authority) add(NID_basic_constraints, "critical,CA:TRUE");
    if (!parts.alternatives.empty()) add(NID_subject_alt_name, parts.alternatives.c_str());
    X509_sign(made, issuer == nullptr ? key() : issuer->key(), EVP_sha256());
  }

  X509* get() const { return certificate_.get(); }
  EVP_PKEY* key() const { return key_.get(); }

  // Writes them behind what is in the file.
  void write(const std::string& path, bool with_key = true) const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> to(std::fopen(path.c_str(), "a"), &std::fclose);
    PEM_write_X509(to.get(), get());
    if (with_key) PEM_write_PrivateKey(to.get(), key(), nullptr, nullptr, 0, nullptr, nullptr);
  }

  // As curl writes it.
  std::string pin() const {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    unsigned char* info = nullptr;
    const int size = i2d_PUBKEY(key(), &info);
    SHA256(info, static_cast<std::size_t>(size), digest.data());
    OPENSSL_free(info);
    std::array<unsigned char, 48> base64{};
    EVP_EncodeBlock(base64.data(), digest.data(), digest.size());
    return std::string("sha256//") + reinterpret_cast<const char*>(base64.data());
  }

 private:
  void add(int extension, const char* value) const {
    X509_EXTENSION* const made = X509V3_EXT_conf_nid(nullptr, nullptr, extension, value);
    X509_add_ext(get(), made, -1);
    X509_EXTENSION_free(made);
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

}  // namespace websockets
