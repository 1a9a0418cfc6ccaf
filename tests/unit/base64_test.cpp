// SPDX-License-Identifier: MIT
#include "base/base64.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace websockets {
namespace {

// RFC 4648 10.
TEST(Base64Test, EncodesTheExamplesOfTheStandard) {
  EXPECT_EQ(encode_base64(as_bytes("")), "");
  EXPECT_EQ(encode_base64(as_bytes("f")), "Zg==");
  EXPECT_EQ(encode_base64(as_bytes("fo")), "Zm8=");
  EXPECT_EQ(encode_base64(as_bytes("foo")), "Zm9v");
  EXPECT_EQ(encode_base64(as_bytes("foobar")), "Zm9vYmFy");
}

TEST(Base64Test, EncodesAnyBytes) {
  EXPECT_EQ(encode_base64(as_bytes(std::string_view("\0\xff\xfe\n", 4))), "AP/+Cg==");
  const std::string long_text(300, 'a');
  const std::string encoded = encode_base64(as_bytes(long_text));
  EXPECT_EQ(encoded.size(), 400U);
  EXPECT_EQ(encoded.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace websockets
