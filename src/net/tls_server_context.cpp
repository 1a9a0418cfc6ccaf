// SPDX-License-Identifier: MIT
#include "net/tls_server_context.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "net/tls_rules.h"
#include "net/trust_store.h"

namespace websockets {

namespace {

// What RFC 9325 recommends for TLS 1.2; all of TLS 1.3's suites are good.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// No finite fields: they make a handshake expensive for the server. The first is for an OpenSSL that has it.
constexpr const char* kGroups = "X25519MLKEM768:X25519:P-256:P-384";
constexpr const char* kOldGroups = "X25519:P-256:P-384";
constexpr std::size_t kTicketKeyBytes = 80;

// --- Names ---

struct NamedCertificate {
  std::string name;
  SslContext context;
};
// Exact names come before patterns: the first that matches is chosen.
using NameTable = std::vector<NamedCertificate>;

bool is_pattern(std::string_view name) { return name.starts_with("*."); }

bool matches(std::string_view pattern, std::string_view name) {
  if (is_pattern(pattern)) {
    const std::size_t dot = name.find('.');
    if (dot == 0 || dot == std::string_view::npos) return false;
    pattern.remove_prefix(1);
    name.remove_prefix(dot);
  }
  return pattern.size() == name.size() && ::strncasecmp(pattern.data(), name.data(), name.size()) == 0;
}

void free_names(void*, void* names, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<NameTable*>(names); }

// Throws std::bad_alloc; then it is made the next time.
int names_index() {
  static const int index = [] {
    const int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_names);
    if (made < 0) throw std::bad_alloc();
    return made;
  }();
  return index;
}

int choose_certificate(SSL* ssl, int*, void* table) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  for (const NamedCertificate& certificate : *static_cast<const NameTable*>(table)) {
    if (!matches(certificate.name, name)) continue;
    SSL_set_SSL_CTX(ssl, certificate.context.get());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

// RFC 7301. A client that offers something else only cannot be served.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  static constexpr std::array<unsigned char, 9> kOurs = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kOurs.data(), kOurs.size(), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

// --- Making one ---

// False: memory is short.
bool set_rules(SSL_CTX* context) {
  set_tls_rules(*context);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  if (SSL_CTX_set_cipher_list(context, kCiphers) != 1) return false;
  if (SSL_CTX_set1_groups_list(context, kGroups) != 1 && SSL_CTX_set1_groups_list(context, kOldGroups) != 1) {
    return false;
  }
  ERR_clear_error();
  // Sessions are resumed by tickets, which the clients keep.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return true;
}

Error load_authority(SSL_CTX* context, const TlsOptions& options) {
  if (options.ca.empty()) return {};
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.ca.c_str());
  if (names == nullptr) return openssl_error("CA '" + options.ca + "'");
  SSL_CTX_set_client_CA_list(context, names);
  if (Error error = trust_file(*context, options.ca)) return error;
  const int demand = options.requires_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | demand, nullptr);
  return {};
}

// A session is only resumed where the same authorities are trusted, and have revoked the same: its client's
// certificate is not verified again.
bool set_session_id_context(SSL_CTX* context) {
  static_assert(SHA256_DIGEST_LENGTH <= SSL_MAX_SID_CTX_LENGTH);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> id{};
  const STACK_OF(X509_OBJECT)* const trusted = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
  for (int i = 0; i < sk_X509_OBJECT_num(trusted); ++i) {
    const X509_OBJECT* const object = sk_X509_OBJECT_value(trusted, i);
    const X509* const certificate = X509_OBJECT_get0_X509(object);
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    const int made = certificate != nullptr
                         ? X509_digest(certificate, EVP_sha256(), digest.data(), nullptr)
                         : X509_CRL_digest(X509_OBJECT_get0_X509_CRL(object), EVP_sha256(), digest.data(), nullptr);
    if (made != 1) return false;
    for (std::size_t k = 0; k < id.size(); ++k) id[k] ^= digest[k];
  }
  return SSL_CTX_set_session_id_context(context, id.data(), id.size()) == 1;
}

Result<SslContext> make_context(const TlsOptions& options, const CertificateFiles& files) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr || !set_rules(context.get())) return openssl_error("TLS");
  if (Error error = load_certificate(*context, files)) return error;
  if (Error error = load_authority(context.get(), options)) return error;
  if (!set_session_id_context(context.get())) return openssl_error("TLS");
  return context;
}

// A ticket that one of them gave out is understood by the other.
void copy_ticket_keys(SSL_CTX* from, SSL_CTX* to) {
  std::array<unsigned char, kTicketKeyBytes> keys;
  if (SSL_CTX_get_tlsext_ticket_keys(from, keys.data(), keys.size()) == 1) {
    SSL_CTX_set_tlsext_ticket_keys(to, keys.data(), keys.size());
  }
}

}  // namespace

Result<std::unique_ptr<TlsServerContext>> TlsServerContext::create(const TlsOptions& options,
                                                                   const TlsServerContext* previous) {
  Result<SslContext> made = make_context(options, options.files);
  if (!made) return made.error();
  SSL_CTX* const context = made->get();
  if (previous != nullptr) copy_ticket_keys(previous->context_.get(), context);

  auto names = std::make_unique<NameTable>();
  for (const auto& [name, files] : options.names) {
    Result<SslContext> named = make_context(options, files);
    if (!named) return named.error();
    copy_ticket_keys(context, named->get());
    names->push_back({name, std::move(*named)});
  }
  std::stable_partition(names->begin(), names->end(), [](const auto& named) { return !is_pattern(named.name); });
  SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(context, names.get());
  if (SSL_CTX_set_ex_data(context, names_index(), names.get()) != 1) throw std::bad_alloc();
  // Freed with the context, which lives as long as the last connection made from it.
  static_cast<void>(names.release());
  return std::unique_ptr<TlsServerContext>(new TlsServerContext(std::move(*made)));
}

SslSession TlsServerContext::new_session(int fd) const {
  SslSession session = new_ssl_session(*context_, fd);
  SSL_set_accept_state(session.get());
  return session;
}

}  // namespace websockets
