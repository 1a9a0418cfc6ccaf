// SPDX-License-Identifier: MIT
#include "websocket/close_code.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

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

}  // namespace
}  // namespace websockets
