// SPDX-License-Identifier: MIT
#include "websocket/close_code.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string_view>

#include "base/bytes.h"
#include "websocket/protocol_error.h"

namespace websockets {
namespace {

TEST(CloseCode, AllowsOnTheWireWhatIsRegisteredForIt) {
  const std::set<unsigned> registered = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
  for (unsigned code = 0; code <= 70000; ++code) {
    const bool allowed = registered.contains(code) || (code >= 3000 && code <= 4999);
    ASSERT_EQ(is_wire_close_code(code), allowed) << code;
  }
  EXPECT_FALSE(is_wire_close_code(std::numeric_limits<unsigned>::max()));
}

TEST(CloseCode, HasNamesForTheCodesThatAreNeverSent) {
  for (const CloseCode code :
       {CloseCode::kNone, CloseCode::kNoStatus, CloseCode::kAbnormal, CloseCode::kTlsHandshake}) {
    EXPECT_FALSE(is_wire_close_code(static_cast<unsigned>(code)));
  }
}

TEST(CloseBody, IsEmptyOrACodeAndAReason) {
  const auto parse = [](std::string_view text, CloseBody& body) { return parse_close_body(as_bytes(text), body); };
  CloseBody body;
  EXPECT_EQ(parse("", body), ProtocolError::kNone);
  EXPECT_EQ(body.code, CloseCode::kNoStatus);
  EXPECT_EQ(parse("\x03\xE8"
                  "bye",
                  body),
            ProtocolError::kNone);
  EXPECT_EQ(body.code, CloseCode::kNormal);
  EXPECT_EQ(as_text(body.reason), "bye");
  EXPECT_EQ(parse("\x03", body), ProtocolError::kCloseBodyTooShort);
  EXPECT_EQ(parse("\x03\xED", body), ProtocolError::kInvalidCloseCode);
  EXPECT_EQ(parse("\x03\xE8\xFF", body), ProtocolError::kInvalidCloseReason);
  EXPECT_EQ(body.code, CloseCode::kNoStatus) << "nothing is left of the one before";
}

}  // namespace
}  // namespace websockets
