// SPDX-License-Identifier: MIT
#include "files/content_types.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(ContentTypes, TheSuffixIsBehindTheLastDotOfTheName) {
  EXPECT_EQ(suffix_of("/a.b/index.html"), "html");
  EXPECT_EQ(suffix_of("archive.tar.gz"), "gz");
  EXPECT_EQ(suffix_of("/a.b/name"), "");
  EXPECT_EQ(suffix_of("/.hidden"), "") << "a name, no suffix";
  EXPECT_EQ(suffix_of("name."), "");
  EXPECT_EQ(suffix_of(""), "");
}

TEST(ContentTypes, AreKnownInAnyCase) {
  EXPECT_EQ(content_type_of("html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("PNG"), "image/png");
  EXPECT_EQ(content_type_of("mjs"), content_type_of("js"));
  EXPECT_EQ(content_type_of("htm l"), "");
  EXPECT_EQ(content_type_of(""), "");
  EXPECT_EQ(content_type_of("exe"), "");
}

}  // namespace
}  // namespace websockets
