// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>

struct ssl_st;

namespace websockets {

// What the client's side of a TLS session knows besides what OpenSSL does. It lives as long as that.
class TlsClientSession {
 public:
  // `name`: whom the server has to be. `cache_key`: see TlsSessionCache. Throws std::bad_alloc.
  static void attach(ssl_st& session, std::string name, std::string cache_key);
  // Null: it is a server's.
  static TlsClientSession* of(const ssl_st* session);

  const std::string& name() const { return name_; }
  const std::string& cache_key() const { return cache_key_; }

  // The session is lost: keeps why, as OpenSSL has it recorded. Only the first time counts.
  void note_failure(const ssl_st& session);
  // Why, for a person; "": it is not lost.
  std::string failure_text(const ssl_st& session) const;
  // The server is not whom it should be.
  bool has_failed_verification(const ssl_st& session) const;

 private:
  TlsClientSession(std::string name, std::string cache_key)
      : name_(std::move(name)), cache_key_(std::move(cache_key)) {}
  std::string reason(const ssl_st& session) const;

  std::string name_;
  std::string cache_key_;
  bool is_lost_ = false;
  bool was_in_handshake_ = false;
  unsigned long openssl_error_ = 0;
  int system_error_ = 0;
};

}  // namespace websockets
