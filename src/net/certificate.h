// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct x509_st;

namespace websockets {

// A certificate that a peer has shown, or none. Cheap to keep: it is shared with the connection's session.
class Certificate {
 public:
  // Takes the certificate; null: none.
  explicit Certificate(x509_st* certificate = nullptr) : certificate_(certificate) {}

  explicit operator bool() const { return certificate_ != nullptr; }

  struct Description {
    std::string subject;      // RFC 2253: "CN=alice,O=Example"
    std::string issuer;       // the same
    std::string serial;       // hexadecimal, upper case
    std::string fingerprint;  // SHA-256 of the whole, hexadecimal, lower case
    std::int64_t not_before;  // seconds since 1970
    std::int64_t not_after;
  };
  // Of one that is there. Throws std::bad_alloc.
  Description describe() const;

 private:
  struct Deleter {
    void operator()(x509_st* certificate) const;
  };
  std::unique_ptr<x509_st, Deleter> certificate_;
};

}  // namespace websockets
