// SPDX-License-Identifier: MIT
#include "http/responder.h"

#include <gtest/gtest.h>

#include "fake_responder.h"

namespace websockets {
namespace {

TEST(ResponderTest, ALineOfTextEndsLikeOne) {
  FakeResponder responder("GET", {});
  ResponseHead head{.status = 403};
  head.headers.emplace_back("X-Why", "reasons");
  responder.respond_line(head, "You may not.");
  EXPECT_EQ(responder.status(), 403);
  EXPECT_EQ(responder.body(), "You may not.\n");
  EXPECT_EQ(responder.content_type(), "text/plain; charset=utf-8");
  EXPECT_EQ(responder.header("X-Why"), "reasons");
}

}  // namespace
}  // namespace websockets
