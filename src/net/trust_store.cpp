// SPDX-License-Identifier: MIT
#include "net/trust_store.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/process_environment.h"
#include "net/tls_rules.h"

namespace websockets {
namespace {

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

bool is_there(const std::string& file) { return ::access(file.c_str(), R_OK) == 0; }

// "9a3b5c7d.0": what OpenSSL looks for.
bool is_hashed_name(std::string_view name) {
  constexpr std::size_t kHashDigits = 8;
  return name.size() > kHashDigits + 1 && name[kHashDigits] == '.' &&
         name.find_first_not_of("0123456789abcdef") == kHashDigits;
}

bool has_hashed_names(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error); !error && at != std::filesystem::directory_iterator();
       at.increment(error)) {
    if (is_hashed_name(at->path().filename().native())) return true;
  }
  return false;
}

// False: none of them has an authority in it.
bool add_folders(SSL_CTX& context, std::string_view folders) {
  bool has_some = false;
  while (!folders.empty()) {
    const std::size_t colon = std::min(folders.find(':'), folders.size());
    const std::string folder(folders.substr(0, colon));
    folders.remove_prefix(std::min(colon + 1, folders.size()));
    if (!has_hashed_names(folder)) continue;
    if (SSL_CTX_load_verify_dir(&context, folder.c_str()) != 1) throw std::bad_alloc();
    has_some = true;
  }
  return has_some;
}

std::string variable(const char* name) {
  const char* const value = process_environment(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Error trust_file(ssl_ctx_st& context, const std::string& path) {
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(&context, path.c_str()) != 1) return openssl_error("CA '" + path + "'");
  set_verification(SSL_CTX_get_cert_store(&context));
  return {};
}

Error trust_folder(ssl_ctx_st& context, const std::string& path) {
  if (!add_folders(context, path)) return {"CA '" + path + "': the folder has no names that 'openssl rehash' gives"};
  return {};
}

SystemTrust system_trust() {
  return {.named_file = variable(X509_get_default_cert_file_env()),
          .named_folder = variable(X509_get_default_cert_dir_env()),
          .file = X509_get_default_cert_file(),
          .folder = X509_get_default_cert_dir(),
          .usual_files = {
              "/etc/ssl/certs/ca-certificates.crt",                 // Debian
              "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora
              "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, older
              "/etc/ssl/cert.pem",                                  // Alpine, macOS
          }};
}

Error trust_system(ssl_ctx_st& context, const SystemTrust& places) {
  const bool is_file_named = !places.named_file.empty();
  const bool is_folder_named = !places.named_folder.empty();
  const std::string& file = is_file_named ? places.named_file : places.file;
  const std::string& folder = is_folder_named ? places.named_folder : places.folder;
  const auto add_file = [&](const std::string& path) {
    ERR_clear_error();
    const bool is_good = SSL_CTX_load_verify_file(&context, path.c_str()) == 1;
    return is_good ? Error{} : openssl_error("store of certificate authorities '" + path + "'");
  };
  std::string looked = is_file_named ? "SSL_CERT_FILE '" + file + "'" : "'" + file + "'";
  bool has_some = is_there(file);
  if (has_some) {
    if (Error error = add_file(file)) return error;
  }
  if (has_some || !is_file_named || is_folder_named) {
    has_some = add_folders(context, folder) || has_some;
    looked += is_folder_named ? ", SSL_CERT_DIR '" + folder + "'" : ", '" + folder + "'";
  }
  if (has_some) return {};
  if (!is_file_named && !is_folder_named) {
    for (const std::string& usual : places.usual_files) {
      if (is_there(usual)) return add_file(usual);
      looked += ", '" + usual + "'";
    }
  }
  return {"no store of certificate authorities was found: looked for " + looked};
}

}  // namespace websockets
