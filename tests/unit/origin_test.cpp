// SPDX-License-Identifier: MIT
#include "http/origin.h"

#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

TEST(OriginTest, KnowsPatterns) {
  for (const char* pattern :
       {"*", "null", "https://example.org", "http://localhost:8080", "https://*.example.org", "https://[::1]:8443",
        "https://[::1]", "chrome-extension://abcdef", "https://a_b.org", "https://*.example.org:81"}) {
    EXPECT_TRUE(is_origin_pattern(pattern)) << pattern;
  }
  for (const char* pattern :
       {"file://", "file:///", "app://", "app://.", "app://./a", "content://a/b", "about://x:y@z?", "tauri://localhost",
        "custom+app://*.example.org", "=", "=example.org", "=*", "=a b"}) {
    EXPECT_TRUE(is_origin_pattern(pattern)) << pattern;
  }
  for (const char* pattern : {"",
                              "example.org",
                              "localhost:8080",
                              "file:",
                              "file://a b",
                              "file://*",
                              "app://*.",
                              "app://*.a/b",
                              "HTTP://",
                              "http://a/",
                              "https://",
                              "://x",
                              "https://example.org/",
                              "https://example.org/a",
                              "https://*",
                              "https://*.",
                              "https://a.*.org",
                              "https://**.org",
                              "https://exa mple.org",
                              "https://example.org:",
                              "https://example.org:x",
                              "https://user@example.org",
                              "https:/x",
                              "ht tp://x",
                              "https://[::1",
                              "https://[::1]x",
                              "**",
                              "https://example.org?"}) {
    EXPECT_FALSE(is_origin_pattern(pattern)) << pattern;
  }
}

TEST(OriginTest, ComparesWholeOrigins) {
  EXPECT_TRUE(matches_origin("https://example.org", "https://example.org"));
  EXPECT_TRUE(matches_origin("HTTPS://Example.ORG", "https://example.org"));
  EXPECT_TRUE(matches_origin("https://example.org", "https://Example.org:443"));
  EXPECT_TRUE(matches_origin("http://example.org", "http://example.org:80"));
  EXPECT_TRUE(matches_origin("http://localhost:8080", "http://localhost:8080"));
  EXPECT_TRUE(matches_origin("null", "null"));
  for (const char* origin : {"http://example.org", "https://example.org:8443", "https://example.com", "null", "",
                             "https://example.org.evil.com", "https://evilexample.org", "https://www.example.org",
                             "https://example.org/", "https://example.or"}) {
    EXPECT_FALSE(matches_origin(origin, "https://example.org")) << origin;
  }
  EXPECT_FALSE(matches_origin("https://example.org", "https://example.org:80"));
}

TEST(OriginTest, ComparesOriginsOfOtherSchemes) {
  for (const char* origin : {"file://", "app://", "app://./a", "null"}) EXPECT_TRUE(matches_origin(origin, origin));
  EXPECT_TRUE(matches_origin("FILE://", "file://"));
  EXPECT_FALSE(matches_origin("file://x", "file://"));
  EXPECT_FALSE(matches_origin("file:///", "file://"));
  EXPECT_TRUE(matches_origin("app://a.b", "app://*.b"));
  EXPECT_FALSE(matches_origin("app://", "file://"));
}

TEST(OriginTest, ComparesTextsAsTheyAre) {
  for (const std::string origin : {"example.org", "file:", "*", "a b", "=", "", "http://example.org:80/"}) {
    EXPECT_TRUE(matches_origin(origin, "=" + origin)) << origin;
    EXPECT_FALSE(matches_origin(origin + "x", "=" + origin)) << origin;
  }
  EXPECT_FALSE(matches_origin("Example.org", "=example.org"));
  EXPECT_FALSE(matches_origin("a", "=*"));
}

TEST(OriginTest, ComparesLabels) {
  constexpr const char* kPattern = "https://*.example.org";
  EXPECT_TRUE(matches_origin("https://www.example.org", kPattern));
  EXPECT_TRUE(matches_origin("https://a.b.EXAMPLE.org", kPattern));
  EXPECT_TRUE(matches_origin("https://a.example.org", "https://*.example.org:443"));
  EXPECT_TRUE(matches_origin("https://a.example.org:81", "https://*.example.org:81"));
  for (const char* origin : {"https://example.org", "https://.example.org", "http://www.example.org",
                             "https://evil.com/.example.org", "https://evil.com?.example.org",
                             "https://a:1.example.org", "https://user@www.example.org", "https://www.example.org:81",
                             "https://wwwexample.org", "https://www.example.org.evil.com", "null", "https://"}) {
    EXPECT_FALSE(matches_origin(origin, kPattern)) << origin;
  }
  EXPECT_TRUE(matches_origin("null", "*"));
  EXPECT_TRUE(matches_origin("anything", "*"));
}

}  // namespace
}  // namespace websockets
