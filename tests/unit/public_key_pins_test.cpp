// SPDX-License-Identifier: MIT
#include "net/public_key_pins.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "made_certificate.h"

namespace websockets {
namespace {

TEST(PublicKeyPins, KnowTheKeyAndNoOther) {
  const MadeCertificate certificate({"a", ""});
  const MadeCertificate other({"a", ""});
  Result<PublicKeyPins> pins = PublicKeyPins::parse({certificate.pin()});
  ASSERT_TRUE(pins) << pins.error().text;
  EXPECT_FALSE(pins->empty());
  EXPECT_TRUE(pins->has_key_of(*certificate.get()));
  EXPECT_FALSE(pins->has_key_of(*other.get()));
  pins = PublicKeyPins::parse({certificate.pin(), other.pin()});
  EXPECT_TRUE(pins->has_key_of(*certificate.get()) && pins->has_key_of(*other.get()));
}

TEST(PublicKeyPins, MayBeNone) {
  const Result<PublicKeyPins> pins = PublicKeyPins::parse({});
  ASSERT_TRUE(pins);
  EXPECT_TRUE((*pins).empty());
}

TEST(PublicKeyPins, AreOfOneShape) {
  const std::string good = MadeCertificate({"a", ""}).pin();
  const std::string digits = good.substr(8);
  for (const std::string& bad :
       {std::string(), std::string("sha256//"), digits, "sha1//" + digits, "SHA256//" + digits, good + ";" + good,
        good.substr(0, good.size() - 1), good + "=", good + "\n", " " + good, "sha256// " + digits.substr(1),
        "sha256//" + digits.substr(0, 42) + "==", "sha256//" + std::string(44, '='), "sha256//-" + digits.substr(1)}) {
    const Result<PublicKeyPins> pins = PublicKeyPins::parse({good, bad});
    ASSERT_FALSE(pins) << bad;
    EXPECT_EQ(pins.error().text,
              "pinned key '" + bad + "': it is not 'sha256//' and the SHA-256 of a public key in base64");
  }
}

}  // namespace
}  // namespace websockets
