// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <string>

#include "temporary_folder.h"

namespace websockets {

// A certificate that signs itself, and its key, in one file while this lives.
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
  CertificateFile(const CertificateFile&) = delete;
  CertificateFile& operator=(const CertificateFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::string path_ = folder_.path() + "/certificate.pem";
};

}  // namespace websockets
