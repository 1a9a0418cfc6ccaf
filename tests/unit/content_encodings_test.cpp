// SPDX-License-Identifier: MIT
#include "files/content_encodings.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "files/content_types.h"

namespace websockets {
namespace {

std::string accepted(std::string_view header) {
  std::string names;
  for (const ContentEncoding& encoding : accepted_encodings(header)) names.append(encoding.name).append(" ");
  return names;
}

TEST(StaticEncodings, AreThoseOfTheHeaderTheBestFirst) {
  EXPECT_EQ(accepted("gzip"), "gzip ");
  EXPECT_EQ(accepted("br"), "br ");
  EXPECT_EQ(accepted("gzip, br"), "br gzip ");
  EXPECT_EQ(accepted("gzip, deflate, br, zstd"), "br gzip ");
  EXPECT_EQ(accepted("GZip;q=0.9,BR;Q=0.8"), "gzip br ");
  EXPECT_EQ(accepted("x-gzip"), "gzip ");
  EXPECT_EQ(accepted("gzip ; q=1.000"), "gzip ");
  EXPECT_EQ(accepted("gzip;q=0.001"), "gzip ");
}

TEST(StaticEncodings, AreNone) {
  for (const std::string_view header :
       {"", ",", "identity", "deflate", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=2", "gzip;q=1.1", "gzip;q=-1",
        "gzip;q=", "gzip;q=0.0001", "gzip;q=x", "gzip;x", "gzip;q=.5", "gzip;q=05", "gzipx", ";q=1"}) {
    EXPECT_EQ(accepted(header), "") << header;
  }
}

TEST(StaticEncodings, FollowWildcardsAndWhatIsSaidOfThePlainFile) {
  EXPECT_EQ(accepted("*"), "br gzip ");
  EXPECT_EQ(accepted("*, br;q=0"), "gzip ");
  EXPECT_EQ(accepted("gzip, *;q=0"), "gzip ");
  EXPECT_EQ(accepted("identity, gzip;q=0.9"), "");
  EXPECT_EQ(accepted("identity;q=0.5, gzip;q=0.5, br;q=0.4"), "gzip ");
  EXPECT_EQ(accepted("identity;q=0, gzip;q=0.1"), "gzip ");
}

TEST(StaticTypes, FollowTheSuffix) {
  EXPECT_EQ(suffix_of("a/b.c/d.tar.gz"), "gz");
  for (const std::string_view path : {"", "a", "a/b.c/d", ".html", "a/.html", "a."})
    EXPECT_EQ(suffix_of(path), "") << path;
  EXPECT_EQ(content_type_of("html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("PNG"), "image/png");
  EXPECT_EQ(content_type_of(""), "");
  EXPECT_EQ(content_type_of("htmlx"), "");
}

}  // namespace
}  // namespace websockets
