// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/ssl_session.h"
#include "net/tls_rules.h"

namespace websockets {

struct TlsClientRules;

// What makes one client's TLS another's.
struct TlsClientOptions {
  bool verify = true;                    // chain and name; pins are checked in any case
  std::string ca_path;                   // PEM file, or folder with hashed names; "": what the system trusts
  std::string server_name;               // in place of the host that is connected to; "": that
  CertificateFiles files;                // the client's own, if the server asks; private_key "": it is in `certificate`
  std::vector<std::string> pinned_keys;  // see PublicKeyPins; none: any key

  auto operator<=>(const TlsClientOptions&) const = default;
};

// What the TLS connections of clients with the same options have in common: whom they trust, what they show, and the
// sessions that can be resumed (those of other options never are). TLS 1.2 and 1.3, with OpenSSL's own ciphers, which
// the system's policy may set; "http/1.1" is offered (RFC 7301). Sessions keep what they need of it.
//
// To be made in any thread; afterwards it, and all sessions of it, belong to one thread.
class TlsClientContext {
 public:
  // Reads files, which may take 60 ms. The error names the file, or the pin. Throws std::bad_alloc.
  static Result<std::shared_ptr<TlsClientContext>> create(const TlsClientOptions& options);
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;
  ~TlsClientContext() = default;

  // The client's side of one connection on a non-blocking socket, before the handshake: see Stream::handshake().
  // `name`: host of the URL, with no [], a zone id is dropped; it counts where the options have no server_name. An
  // empty one never passes verification. `session_key`: "host:port", whose sessions may be resumed. `below`: TLS within
  // TLS; see new_ssl_session(). Throws std::bad_alloc.
  SslSession new_session(int fd, std::string_view name, std::string_view session_key, SslSession below = nullptr) const;

 private:
  TlsClientContext(SslContext context, TlsClientRules& rules) : context_(std::move(context)), rules_(rules) {}

  SslContext context_;
  TlsClientRules& rules_;  // belongs to context_
};

}  // namespace websockets
