// SPDX-License-Identifier: MIT
#include "net/public_key_pins.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "base/base64.h"

namespace websockets {
namespace {

constexpr std::string_view kPrefix = "sha256//";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kBase64Bytes = 44;  // of 32 bytes, with one '=' at the end

bool is_pin(std::string_view text) {
  return text.size() == kPrefix.size() + kBase64Bytes && text.starts_with(kPrefix) && text.ends_with('=') &&
         text.find_first_not_of(kBase64Digits, kPrefix.size()) == text.size() - 1;
}

}  // namespace

Result<PublicKeyPins> PublicKeyPins::parse(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    if (!is_pin(text)) {
      return Error{"pinned key '" + text + "': it is not 'sha256//' and the SHA-256 of a public key in base64"};
    }
  }
  PublicKeyPins pins;
  pins.pins_ = texts;
  return pins;
}

bool PublicKeyPins::has_key_of(const x509_st& certificate) const {
  unsigned char* info = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &info);
  if (size < 0) throw std::bad_alloc();
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  const unsigned char* const made = SHA256(info, static_cast<std::size_t>(size), digest.data());
  OPENSSL_free(info);
  if (made == nullptr) throw std::bad_alloc();
  return std::find(pins_.begin(), pins_.end(), std::string(kPrefix) + encode_base64(digest)) != pins_.end();
}

}  // namespace websockets
