// SPDX-License-Identifier: MIT
#include "net/tls_client_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <new>
#include <system_error>

#include "net/ssl_session.h"

namespace websockets {
namespace {

void free_session(void*, void* session, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<TlsClientSession*>(session);
}

// Throws std::bad_alloc; then it is made the next time.
int session_index() {
  static const int index = [] {
    const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_session);
    if (made < 0) throw std::bad_alloc();
    return made;
  }();
  return index;
}

bool is_ssl_error(unsigned long error, int reason) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == reason;
}

// What comes of taking something else for the first record of TLS.
bool is_no_tls(unsigned long error) {
  return is_ssl_error(error, SSL_R_WRONG_VERSION_NUMBER) || is_ssl_error(error, SSL_R_HTTP_REQUEST) ||
         is_ssl_error(error, SSL_R_HTTPS_PROXY_REQUEST) || is_ssl_error(error, SSL_R_PACKET_LENGTH_TOO_LONG);
}

}  // namespace

void TlsClientSession::attach(ssl_st& session, std::string name, std::string cache_key) {
  std::unique_ptr<TlsClientSession> made(new TlsClientSession(std::move(name), std::move(cache_key)));
  if (SSL_set_ex_data(&session, session_index(), made.get()) != 1) throw std::bad_alloc();
  static_cast<void>(made.release());
}

TlsClientSession* TlsClientSession::of(const ssl_st* session) {
  if (SSL_is_server(session) == 1) return nullptr;
  return static_cast<TlsClientSession*>(SSL_get_ex_data(session, session_index()));
}

void TlsClientSession::note_failure(const ssl_st& session) {
  if (is_lost_) return;
  is_lost_ = true;
  was_in_handshake_ = SSL_get_peer_finished(&session, nullptr, 0) == 0;
  openssl_error_ = ERR_peek_error();
  system_error_ = socket_error(&session);
}

bool TlsClientSession::has_failed_verification(const ssl_st& session) const {
  return is_ssl_error(openssl_error_, SSL_R_CERTIFICATE_VERIFY_FAILED) &&
         SSL_get_verify_result(&session) != X509_V_ERR_OUT_OF_MEM;
}

std::string TlsClientSession::reason(const ssl_st& session) const {
  if (openssl_error_ == 0 || ERR_SYSTEM_ERROR(openssl_error_)) {
    const int number = openssl_error_ == 0 ? system_error_ : ERR_GET_REASON(openssl_error_);
    return number == 0 ? "the server has ended the connection" : std::generic_category().message(number);
  }
  const char* const text = ERR_reason_error_string(openssl_error_);
  std::string known = text == nullptr ? "unknown reason" : text;
  if (was_in_handshake_ && is_no_tls(openssl_error_)) return "the server does not speak TLS (" + known + ")";
  if (!is_ssl_error(openssl_error_, SSL_R_CERTIFICATE_VERIFY_FAILED)) return known;
  const long result = SSL_get_verify_result(&session);
  if (result == X509_V_ERR_APPLICATION_VERIFICATION) return known + ": its public key is none of those that are pinned";
  return known + ": " + X509_verify_cert_error_string(result);
}

std::string TlsClientSession::failure_text(const ssl_st& session) const {
  return is_lost_ ? "TLS with '" + name_ + "': " + reason(session) : "";
}

}  // namespace websockets
