// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;

namespace websockets {

// Only what this file's authorities have signed is trusted, as far as its revocation lists allow, not what the system
// trusts. The error names the file. Throws std::bad_alloc.
Error trust_file(ssl_ctx_st& context, const std::string& path);
// The same of a folder whose files have the names that `openssl rehash` gives them. They are read when they are needed.
Error trust_folder(ssl_ctx_st& context, const std::string& path);

// Where the authorities may be that the system trusts.
struct SystemTrust {
  std::string named_file;    // SSL_CERT_FILE
  std::string named_folder;  // SSL_CERT_DIR, several with ':' between them
  std::string file;          // those of OpenSSL
  std::string folder;
  std::vector<std::string> usual_files;  // those of other systems, for an OpenSSL that was built elsewhere
};
SystemTrust system_trust();
// As OpenSSL does: what a variable names is in place of OpenSSL's own. What is missing of that is no error, where there
// is the other one; but in place of a file that was named, OpenSSL's own folder is not trusted. The usual ones come
// last. The error says where it was looked.
Error trust_system(ssl_ctx_st& context, const SystemTrust& places);

}  // namespace websockets
