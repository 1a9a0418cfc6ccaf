// SPDX-License-Identifier: MIT
#include "net/tls_server_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <new>
#include <string_view>
#include <system_error>

#include "net/socket_flags.h"

namespace websockets {

void SslDeleter::operator()(ssl_st* ssl) const { SSL_free(ssl); }
void SslDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

namespace {

using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;

// What RFC 9325 recommends for TLS 1.2; all of TLS 1.3's suites are good.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// No finite fields: they make a handshake expensive for the server. The first is for an OpenSSL that has it.
constexpr const char* kGroups = "X25519MLKEM768:X25519:P-256:P-384";
constexpr const char* kOldGroups = "X25519:P-256:P-384";
constexpr std::size_t kTicketKeyBytes = 80;

// OpenSSL's reason for the oldest error it has recorded, which may be one of the system. Throws std::bad_alloc when
// memory was short: what is recorded then tells where.
Error openssl_error(const std::string& what) {
  const unsigned long code = ERR_get_error();
  bool is_short = ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
  while (const unsigned long next = ERR_get_error())
    is_short = is_short || ERR_GET_REASON(next) == ERR_R_MALLOC_FAILURE;
  if (is_short) throw std::bad_alloc();
  if (ERR_SYSTEM_ERROR(code)) {
    const int number = ERR_GET_REASON(code);
    return {what + ": " + std::generic_category().message(number), number};
  }
  const char* reason = ERR_reason_error_string(code);
  return {what + ": " + (reason == nullptr ? "unknown reason" : reason)};
}

// --- A BIO on a socket that never raises SIGPIPE; OpenSSL's own uses write(2) ---

// What such a BIO owns.
struct TlsSocket {
  int fd;
  std::size_t record_count = 0;
  std::size_t costly_count = 0;  // of messages that cost more than it takes to send them
};

TlsSocket& socket_of(BIO* bio) { return *static_cast<TlsSocket*>(BIO_get_data(bio)); }

int write_bio(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(socket_of(bio).fd, data, static_cast<std::size_t>(size), kNoSignal);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)) {
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(count);
}

int read_bio(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(socket_of(bio).fd, data, static_cast<std::size_t>(size), 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

long control_bio(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int destroy_bio(BIO* bio) {
  delete static_cast<TlsSocket*>(BIO_get_data(bio));
  return 1;
}

// Throws std::bad_alloc; then it is made the next time.
BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "websockets socket");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_write(made, write_bio);
    BIO_meth_set_read(made, read_bio);
    BIO_meth_set_ctrl(made, control_bio);
    BIO_meth_set_destroy(made, destroy_bio);
    return made;
  }();
  return method;
}

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

// --- What a peer could keep this side busy with ---

// A peer may change its keys, or ask for a handshake that is refused, whenever it likes: each time costs as much as a
// hundred frames, and one call of OpenSSL takes them all. Who changes them after as many bytes as RFC 8446 5.5 has in
// mind is far below this.
constexpr std::size_t kFreeCostlyMessages = 32;
constexpr std::uint64_t kBytesPerCostlyMessage = std::uint64_t{1} << 20U;

void note_message(int is_sent, int, int type, const void* data, std::size_t size, SSL* ssl, void*) {
  if (is_sent != 0) return;
  BIO* const bio = SSL_get_rbio(ssl);
  if (type == SSL3_RT_HEADER) ++socket_of(bio).record_count;
  if (type != SSL3_RT_HANDSHAKE || size == 0) return;
  const unsigned message = *static_cast<const unsigned char*>(data);
  if (message != SSL3_MT_KEY_UPDATE && message != SSL3_MT_CLIENT_HELLO) return;
  const std::uint64_t most = kFreeCostlyMessages + BIO_number_read(bio) / kBytesPerCostlyMessage;
  if (++socket_of(bio).costly_count > most) SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);  // it reads no more
}

// --- Making one ---

// False: memory is short.
bool set_rules(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  // Idle connections give their buffers back.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_msg_callback(context, note_message);
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

Error load_files(SSL_CTX* context, const CertificateFiles& files) {
  // Nobody is asked for a passphrase.
  bool is_encrypted = false;
  SSL_CTX_set_default_passwd_cb_userdata(context, &is_encrypted);
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  });
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return openssl_error("certificate '" + files.certificate + "'");
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.private_key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    if (is_encrypted) return {"private key '" + files.private_key + "': it is encrypted"};
    return openssl_error("private key '" + files.private_key + "'");
  }
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  return {};
}

// --- Authorities ---

// RFC 5280 6.3. An authority without a revocation list in the file revokes nothing; where there is one, it has to be
// good.
int check_revocation(int is_good, X509_STORE_CTX* verification) {
  if (is_good == 1 || X509_STORE_CTX_get_error(verification) != X509_V_ERR_UNABLE_TO_GET_CRL) return is_good;
  const X509_NAME* const issuer = X509_get_issuer_name(X509_STORE_CTX_get_current_cert(verification));
  const STACK_OF(X509_OBJECT)* const trusted = X509_STORE_get0_objects(X509_STORE_CTX_get0_store(verification));
  for (int i = 0; i < sk_X509_OBJECT_num(trusted); ++i) {
    const X509_CRL* const list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(trusted, i));
    if (list != nullptr && X509_NAME_cmp(X509_CRL_get_issuer(list), issuer) == 0) return 0;
  }
  X509_STORE_CTX_set_error(verification, X509_V_OK);
  return 1;
}

// Whether the store has no certificate that could have signed this one.
bool is_without_issuer(const STACK_OF(X509_OBJECT) * trusted, X509* certificate) {
  for (int i = 0; i < sk_X509_OBJECT_num(trusted); ++i) {
    X509* const issuer = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
    if (issuer != nullptr && X509_check_issued(issuer, certificate) == X509_V_OK) return false;
  }
  return true;
}

// An intermediate authority alone is trusted as it is. Where its issuer is there, too, the chain goes on to that, so
// that the issuer's revocation list counts.
void set_verification(X509_STORE* store) {
  const STACK_OF(X509_OBJECT)* const trusted = X509_STORE_get0_objects(store);
  for (int i = 0; i < sk_X509_OBJECT_num(trusted); ++i) {
    X509_OBJECT* const object = sk_X509_OBJECT_value(trusted, i);
    X509* const certificate = X509_OBJECT_get0_X509(object);
    if (certificate != nullptr && is_without_issuer(trusted, certificate)) {
      X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    }
    if (X509_OBJECT_get0_X509_CRL(object) != nullptr) {
      X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
  }
  X509_STORE_set_verify_cb(store, check_revocation);
}

// Only what the given authority has signed is trusted, not what the system trusts.
Error load_authority(SSL_CTX* context, const TlsOptions& options) {
  if (options.ca.empty()) return {};
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.ca.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(context, options.ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return openssl_error("CA '" + options.ca + "'");
  }
  SSL_CTX_set_client_CA_list(context, names);
  set_verification(SSL_CTX_get_cert_store(context));
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
  if (Error error = load_files(context.get(), files)) return error;
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

std::size_t take_record_count(ssl_st* session) {
  return std::exchange(socket_of(SSL_get_rbio(session)).record_count, 0);
}

SslSession TlsServerContext::new_session(int fd) const {
  BIO_METHOD* const method = socket_method();
  auto socket = std::make_unique<TlsSocket>(TlsSocket{.fd = fd});
  SslSession session(SSL_new(context_.get()));
  BIO* bio = BIO_new(method);
  if (session == nullptr || bio == nullptr) {
    BIO_free(bio);
    throw std::bad_alloc();
  }
  BIO_set_data(bio, socket.release());
  BIO_set_init(bio, 1);
  SSL_set_bio(session.get(), bio, bio);
  SSL_set_accept_state(session.get());
  return session;
}

}  // namespace websockets
