// SPDX-License-Identifier: MIT
#include "net/public_key_pins.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <new>
#include <string_view>

namespace websockets {
namespace {

constexpr std::string_view kPrefix = "sha256//";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kBase64Bytes = 44;  // of 32 bytes, with one '=' at the end

}  // namespace

Result<PublicKeyPins> PublicKeyPins::parse(const std::vector<std::string>& texts) {
  PublicKeyPins pins;
  for (const std::string& text : texts) {
    std::string_view base64 = text;
    const bool has_prefix = base64.starts_with(kPrefix);
    base64.remove_prefix(has_prefix ? kPrefix.size() : 0);
    const bool is_digest = base64.size() == kBase64Bytes &&
                           base64.find_first_not_of(kBase64Digits) == kBase64Bytes - 1 && base64.back() == '=';
    if (!has_prefix || !is_digest) {
      return Error{"pinned key '" + text + "': it is not 'sha256//' and the SHA-256 of a public key in base64"};
    }
    std::array<unsigned char, kDigestBytes + 1> bytes{};  // with what '=' stands for
    EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(base64.data()), kBase64Bytes);
    std::copy_n(bytes.begin(), kDigestBytes, pins.digests_.emplace_back().begin());
  }
  return pins;
}

bool PublicKeyPins::has_key_of(const x509_st& certificate) const {
  unsigned char* info = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &info);
  if (size < 0) throw std::bad_alloc();
  Digest digest;
  static_assert(kDigestBytes == SHA256_DIGEST_LENGTH);
  const unsigned char* const made = SHA256(info, static_cast<std::size_t>(size), digest.data());
  OPENSSL_free(info);
  if (made == nullptr) throw std::bad_alloc();
  return std::find(digests_.begin(), digests_.end(), digest) != digests_.end();
}

}  // namespace websockets
