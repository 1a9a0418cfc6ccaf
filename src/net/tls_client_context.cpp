// SPDX-License-Identifier: MIT
#include "net/tls_client_context.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <new>
#include <optional>
#include <system_error>

#include "net/public_key_pins.h"
#include "net/tls_client_session.h"
#include "net/tls_session_cache.h"
#include "net/trust_store.h"

namespace websockets {

// Belongs to the SSL_CTX, which lives as long as the last session made from it.
struct TlsClientRules {
  bool verify;
  std::string server_name;
  PublicKeyPins pins;
  TlsSessionCache cache;
};

namespace {

constexpr std::array<unsigned char, 9> kProtocols = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr std::size_t kMostNameBytes = 255;  // RFC 1035 2.3.4; OpenSSL refuses more

// Whom a server has to be.
struct ServerName {
  std::string text;
  std::vector<unsigned char> address;  // of a literal

  explicit ServerName(std::string_view name);
};

std::vector<unsigned char> parse_address(int family, const std::string& text, std::size_t size) {
  std::vector<unsigned char> address(size);
  if (::inet_pton(family, text.c_str(), address.data()) != 1) address.clear();
  return address;
}

ServerName::ServerName(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return;
  text = name.substr(0, name.find('%'));  // RFC 6874: the zone id means something on this host only
  address = parse_address(AF_INET6, text, sizeof(in6_addr));
  if (!address.empty()) return;
  text = name;
  address = parse_address(AF_INET, text, sizeof(in_addr));
  if (text.ends_with('.')) text.pop_back();  // RFC 6066 3
}

// False: memory is short.
bool ask_for(SSL& session, const ServerName& name) {
  X509_VERIFY_PARAM* const parameters = SSL_get0_param(&session);
  if (!name.address.empty()) {
    return X509_VERIFY_PARAM_set1_ip(parameters, name.address.data(), name.address.size()) == 1;
  }
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_host(parameters, name.text.data(), name.text.size()) != 1) return false;
  if (name.text.empty() || name.text.size() > kMostNameBytes) return true;
  return SSL_set_tlsext_host_name(&session, name.text.c_str()) == 1;
}

Error load_trust(SSL_CTX& context, const std::string& path) {
  if (path.empty()) return trust_system(context, system_trust());
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ? trust_folder(context, path) : trust_file(context, path);
}

Error load_client_certificate(SSL_CTX& context, CertificateFiles files) {
  if (files.certificate.empty()) {
    return files.private_key.empty() ? Error{}
                                     : Error{"private key '" + files.private_key + "': it has no certificate"};
  }
  if (files.private_key.empty()) files.private_key = files.certificate;
  return load_certificate(context, files);
}

// --- What OpenSSL calls ---

// Throws std::bad_alloc; then it is made the next time.
int rules_index() {
  static const int index = [] {
    const int made = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr,
        [](void*, void* rules, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<TlsClientRules*>(rules); });
    if (made < 0) throw std::bad_alloc();
    return made;
  }();
  return index;
}

TlsClientRules& rules_of(const SSL_CTX& context) {
  return *static_cast<TlsClientRules*>(SSL_CTX_get_ex_data(&context, rules_index()));
}

// In place of OpenSSL's own: the pins count whether the rest does or not. A session that is resumed has passed it.
int verify(X509_STORE_CTX* verification, void* given) {
  const TlsClientRules& rules = *static_cast<const TlsClientRules*>(given);
  const auto* const session =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto fail = [&](int error) {
    X509_STORE_CTX_set_error(verification, error);
    return 0;
  };
  // OpenSSL takes an empty name for any.
  if (rules.verify && TlsClientSession::of(session)->name().empty()) return fail(X509_V_ERR_HOSTNAME_MISMATCH);
  if (rules.verify && X509_verify_cert(verification) != 1) return 0;
  try {
    if (rules.pins.empty() || rules.pins.has_key_of(*X509_STORE_CTX_get0_cert(verification))) return 1;
  } catch (const std::bad_alloc&) {
    return fail(X509_V_ERR_OUT_OF_MEM);
  }
  return fail(X509_V_ERR_APPLICATION_VERIFICATION);
}

int keep_session(SSL* session, SSL_SESSION* resumable) {
  try {
    TlsSessionCache::Session kept(resumable);
    std::string key = TlsClientSession::of(session)->cache_key();
    rules_of(*SSL_get_SSL_CTX(session)).cache.add(std::move(key), std::move(kept));
    return 1;
  } catch (const std::bad_alloc&) {
    return 1;
  }
}

}  // namespace

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::create(const TlsClientOptions& options) {
  Result<PublicKeyPins> pins = PublicKeyPins::parse(options.pinned_keys);
  if (!pins) return pins.error();
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return openssl_error("TLS");
  auto made =
      std::make_unique<TlsClientRules>(TlsClientRules{options.verify, options.server_name, std::move(*pins), {}});
  if (SSL_CTX_set_ex_data(context.get(), rules_index(), made.get()) != 1) throw std::bad_alloc();
  TlsClientRules& rules = *made.release();

  set_tls_rules(*context);
  if (SSL_CTX_set_alpn_protos(context.get(), kProtocols.data(), kProtocols.size()) != 0) throw std::bad_alloc();
  if (options.verify) {
    if (Error error = load_trust(*context, options.ca_path)) return error;
  }
  if (Error error = load_client_certificate(*context, options.files)) return error;
  const bool looks = options.verify || !rules.pins.empty();
  SSL_CTX_set_verify(context.get(), looks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), verify, &rules);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  return std::shared_ptr<TlsClientContext>(new TlsClientContext(std::move(context), rules));
}

SslSession TlsClientContext::new_session(int fd, std::string_view name, std::string_view session_key,
                                         SslSession below) const {
  const ServerName server(rules_.server_name.empty() ? name : std::string_view(rules_.server_name));
  SslSession session = new_ssl_session(*context_, fd, std::move(below));
  SSL_set_connect_state(session.get());
  if (!ask_for(*session, server)) throw std::bad_alloc();
  // What was verified for one name is resumed for that only.
  std::string cache_key = std::string(session_key) + '\n' + server.text;
  if (const TlsSessionCache::Session resumed = rules_.cache.take(cache_key)) {
    if (SSL_set_session(session.get(), resumed.get()) != 1) ERR_clear_error();
  }
  TlsClientSession::attach(*session, server.text, std::move(cache_key));
  return session;
}

}  // namespace websockets
