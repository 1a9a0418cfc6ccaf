// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/ssl_session.h"
#include "net/tls_rules.h"

namespace websockets {

struct TlsOptions {
  CertificateFiles files;
  // For clients that ask for these names (RFC 6066 3): "example.org", or "*.example.org" for one label more; an exact
  // name comes first.
  std::vector<std::pair<std::string, CertificateFiles>> names;
  std::string ca;  // trust store for client certificates, with revocation lists; "": clients are not asked for one
  bool requires_client_certificate = false;  // else one that is given is verified

  bool enabled() const { return !files.certificate.empty(); }
};

// What the TLS connections of a server have in common: certificates, ticket keys, rules (TLS 1.2 and 1.3, ciphers with
// forward secrecy and authentication only). Sessions keep what they need of it.
class TlsServerContext {
 public:
  // Reads the files. Tickets that `previous` gave out stay good.
  static Result<std::unique_ptr<TlsServerContext>> create(const TlsOptions& options, const TlsServerContext* previous);
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;
  ~TlsServerContext() = default;

  // The server's side of one connection on a non-blocking socket, before the handshake. Throws std::bad_alloc.
  SslSession new_session(int fd) const;

 private:
  explicit TlsServerContext(SslContext context) : context_(std::move(context)) {}

  // The one of those who ask for no name that is known; it owns those of the names.
  SslContext context_;
};

}  // namespace websockets
