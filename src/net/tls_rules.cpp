// SPDX-License-Identifier: MIT
#include "net/tls_rules.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <new>
#include <system_error>

#include "net/ssl_session.h"

namespace websockets {

void set_tls_rules(ssl_ctx_st& context) {
  SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Idle connections give their buffers back.
  SSL_CTX_set_mode(&context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(&context, 1);
  count_messages(context);
}

Error load_certificate(ssl_ctx_st& context, const CertificateFiles& files) {
  // Nobody is asked for a passphrase.
  bool is_encrypted = false;
  SSL_CTX_set_default_passwd_cb_userdata(&context, &is_encrypted);
  SSL_CTX_set_default_passwd_cb(&context, [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  });
  if (SSL_CTX_use_certificate_chain_file(&context, files.certificate.c_str()) != 1) {
    return openssl_error("certificate '" + files.certificate + "'");
  }
  if (SSL_CTX_use_PrivateKey_file(&context, files.private_key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(&context) != 1) {
    if (is_encrypted) return {"private key '" + files.private_key + "': it is encrypted"};
    return openssl_error("private key '" + files.private_key + "'");
  }
  SSL_CTX_set_default_passwd_cb_userdata(&context, nullptr);
  return {};
}

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

}  // namespace websockets
