// SPDX-License-Identifier: MIT
#include "net/certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>
#include <ctime>
#include <new>
#include <string_view>

namespace websockets {
namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct BignumDeleter {
  void operator()(BIGNUM* number) const { BN_free(number); }
};
struct TextDeleter {
  void operator()(char* text) const { OPENSSL_free(text); }
};

std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, BioDeleter> bio(BIO_new(BIO_s_mem()));
  // UTF-8 stays as it is.
  constexpr unsigned long kFlags = XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, kFlags) < 0) throw std::bad_alloc();
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

std::string serial_text(const X509& certificate) {
  const std::unique_ptr<BIGNUM, BignumDeleter> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  const std::unique_ptr<char, TextDeleter> text(number == nullptr ? nullptr : BN_bn2hex(number.get()));
  if (text == nullptr) throw std::bad_alloc();
  return text.get();
}

std::string fingerprint_text(const X509& certificate) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &size) != 1) throw std::bad_alloc();
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4U];
    text += kDigits[digest[i] & 0xFU];
  }
  return text;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

}  // namespace

void Certificate::Deleter::operator()(x509_st* certificate) const { X509_free(certificate); }

Certificate::Description Certificate::describe() const {
  const X509& certificate = *certificate_;
  return {name_text(X509_get_subject_name(&certificate)),
          name_text(X509_get_issuer_name(&certificate)),
          serial_text(certificate),
          fingerprint_text(certificate),
          seconds_of(X509_get0_notBefore(&certificate)),
          seconds_of(X509_get0_notAfter(&certificate))};
}

}  // namespace websockets
