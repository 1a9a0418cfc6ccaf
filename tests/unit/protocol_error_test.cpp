// SPDX-License-Identifier: MIT
#include "websocket/protocol_error.h"

#include <gtest/gtest.h>

#include <set>

namespace websockets {
namespace {

TEST(ProtocolError, HasATextThatFitsIntoACloseFrameAndACodeThatMayBeSent) {
  std::set<std::string_view> texts;
  for (int error = 1; error <= static_cast<int>(ProtocolError::kTooManyFragments); ++error) {
    const ProtocolErrorInfo& info = describe(static_cast<ProtocolError>(error));
    EXPECT_FALSE(info.text.empty()) << error;
    EXPECT_LE(info.text.size(), 123U) << info.text;
    EXPECT_TRUE(is_wire_close_code(static_cast<unsigned>(info.close_code))) << info.text;
    texts.insert(info.text);
  }
  EXPECT_EQ(texts.size(), static_cast<std::size_t>(ProtocolError::kTooManyFragments)) << "a text stands for one error";
}

TEST(ProtocolError, HasTheCodesOfTheRfc) {
  EXPECT_EQ(describe(ProtocolError::kReservedBits).close_code, CloseCode::kProtocolError);
  EXPECT_EQ(describe(ProtocolError::kUnmaskedFrame).close_code, CloseCode::kProtocolError);
  EXPECT_EQ(describe(ProtocolError::kExpectedContinuation).close_code, CloseCode::kProtocolError);
  EXPECT_EQ(describe(ProtocolError::kInvalidCloseCode).close_code, CloseCode::kProtocolError);
  EXPECT_EQ(describe(ProtocolError::kInvalidUtf8).close_code, CloseCode::kInvalidPayload);
  EXPECT_EQ(describe(ProtocolError::kInvalidCloseReason).close_code, CloseCode::kInvalidPayload);
  EXPECT_EQ(describe(ProtocolError::kMessageTooBig).close_code, CloseCode::kMessageTooBig);
  EXPECT_EQ(describe(ProtocolError::kTooManyFragments).close_code, CloseCode::kPolicyViolation);
}

}  // namespace
}  // namespace websockets
