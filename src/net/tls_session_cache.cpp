// SPDX-License-Identifier: MIT
#include "net/tls_session_cache.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

namespace websockets {
namespace {

// Each function is there, and not deprecated, where the other one is not.
std::time_t begin_of(SSL_SESSION* session) {
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
  return SSL_SESSION_get_time_ex(session);
#else
  return static_cast<std::time_t>(SSL_SESSION_get_time(session));
#endif
}

// The server may see it otherwise; then there is a whole handshake. What the certificate said is not verified again.
bool is_good(SSL_SESSION* session) {
  if (SSL_SESSION_is_resumable(session) != 1) return false;
  const std::time_t age = std::time(nullptr) - begin_of(session);
  if (age < 0 || age >= SSL_SESSION_get_timeout(session)) return false;
  const X509* const certificate = SSL_SESSION_get0_peer(session);
  return certificate == nullptr || X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

}  // namespace

void TlsSessionCache::Deleter::operator()(ssl_session_st* session) const { SSL_SESSION_free(session); }

void TlsSessionCache::make_place(std::string_view key) {
  const auto is_of_key = [&](const Entry& entry) { return entry.key == key; };
  if (std::count_if(entries_.begin(), entries_.end(), is_of_key) >= static_cast<std::ptrdiff_t>(kMostOfKey)) {
    entries_.erase(std::find_if(entries_.begin(), entries_.end(), is_of_key));
  } else if (entries_.size() >= kMost) {
    entries_.pop_front();
  }
}

void TlsSessionCache::add(std::string key, Session session) {
  make_place(key);
  entries_.push_back({std::move(key), std::move(session)});
}

TlsSessionCache::Session TlsSessionCache::take(std::string_view key) {
  for (std::size_t i = entries_.size(); i-- > 0;) {
    if (entries_[i].key != key) continue;
    const auto at = entries_.begin() + static_cast<std::ptrdiff_t>(i);
    if (is_good(at->session.get())) {
      if (SSL_SESSION_get_protocol_version(at->session.get()) < TLS1_3_VERSION) {
        SSL_SESSION_up_ref(at->session.get());
        return Session(at->session.get());
      }
      Session session = std::move(at->session);
      entries_.erase(at);
      return session;
    }
    entries_.erase(at);
  }
  return nullptr;
}

}  // namespace websockets
