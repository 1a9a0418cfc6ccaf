// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;

namespace websockets {

// PEM files. `certificate` may hold the chain behind the certificate.
struct CertificateFiles {
  std::string certificate;
  std::string private_key;

  auto operator<=>(const CertificateFiles&) const = default;
};

// What holds for either side: TLS 1.2 and 1.3, no renegotiation, no compression, buffers that idle sessions give back.
void set_tls_rules(ssl_ctx_st& context);

// The certificate that this side shows, and its key. The error names the file. Throws std::bad_alloc.
Error load_certificate(ssl_ctx_st& context, const CertificateFiles& files);

// OpenSSL's reason for the oldest error it has recorded, which may be one of the system, behind `what`. Throws
// std::bad_alloc when memory was short: what is recorded then tells where.
Error openssl_error(const std::string& what);

}  // namespace websockets
