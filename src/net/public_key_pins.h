// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
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

  bool empty() const { return digests_.empty(); }
  // Throws std::bad_alloc.
  bool has_key_of(const x509_st& certificate) const;

 private:
  static constexpr std::size_t kDigestBytes = 32;
  using Digest = std::array<std::uint8_t, kDigestBytes>;

  std::vector<Digest> digests_;
};

}  // namespace websockets
