// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

struct x509_st;

namespace websockets {

// The public keys of which a server has to show one, as curl writes them: "sha256//" and the SHA-256 of the
// SubjectPublicKeyInfo (RFC 7469 2.4) in base64.
class PublicKeyPins {
 public:
  // The error says which one is none.
  static Result<PublicKeyPins> parse(const std::vector<std::string>& texts);

  bool empty() const { return pins_.empty(); }
  // Throws std::bad_alloc.
  bool has_key_of(const x509_st& certificate) const;

 private:
  std::vector<std::string> pins_;
};

}  // namespace websockets
