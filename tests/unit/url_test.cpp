// SPDX-License-Identifier: MIT
#include "http/url.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace websockets {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields fields_of(std::string_view query) {
  Fields found;
  QueryFields fields(query);
  std::string name;
  std::string value;
  while (fields.next(name, value)) found.emplace_back(name, value);
  return found;
}

void expect_parts(std::string_view target, std::string_view path, std::string_view query) {
  const TargetParts parts = split_target(target);
  EXPECT_EQ(parts.path, path) << target;
  EXPECT_EQ(parts.query, query) << target;
}

TEST(UrlTest, SplitsTargets) {
  expect_parts("/", "/", "");
  expect_parts("/a/b", "/a/b", "");
  expect_parts("/a?", "/a", "");
  expect_parts("/a?x=1&y=2", "/a", "x=1&y=2");
  expect_parts("/a?x=/b?c", "/a", "x=/b?c");
  expect_parts("/a%3Fb?c", "/a%3Fb", "c");
  expect_parts("?x", "/", "x");
  expect_parts("*", "*", "");
  expect_parts("", "/", "");
}

TEST(UrlTest, SplitsAbsoluteTargets) {
  expect_parts("http://example.org/a?b", "/a", "b");
  expect_parts("HTTP://example.org:80/a/b", "/a/b", "");
  expect_parts("http://example.org", "/", "");
  expect_parts("http://example.org?b", "/", "b");
  expect_parts("ws://[::1]:80/a", "/a", "");
  expect_parts("/to/http://example.org/a", "/to/http://example.org/a", "");
}

TEST(UrlTest, KnowsTargets) {
  for (const char* target : {"/", "//", "/a?b", "/*", "/\"\xc3\xa4", "http://a", "HTTPS://a:1/b?c", "http://[::1]/",
                             "http://a?b", "http://a/b@c:d", "ws://a/b", "WSS://a:1?b"}) {
    EXPECT_TRUE(is_target("GET", target)) << target;
  }
  for (const char* target :
       {"",        "a",        "a:1",        "?a",          "*",           "/#",          "/a#b",         "http://a/#",
        "http://", "http:///", "http://:1/", "http://a@b/", "http://a:b/", "http://a,b/", "http://[::1/", "http:/a",
        "http:a",  "ftp://a/", "://a/",      "ws:///",      "wss:a"}) {
    EXPECT_FALSE(is_target("GET", target)) << target;
  }
  EXPECT_TRUE(is_target("OPTIONS", "*"));
  EXPECT_FALSE(is_target("OPTIONS", "**"));
  EXPECT_FALSE(is_target("options", "*"));
}

TEST(UrlTest, FindsTheHostOfATarget) {
  EXPECT_EQ(target_authority("http://example.org:80/a?b"), "example.org:80");
  EXPECT_EQ(target_authority("http://[::1]?b"), "[::1]");
  for (const char* target : {"/", "*", "/to/http://example.org/"}) EXPECT_EQ(target_authority(target), "") << target;
}

TEST(UrlTest, DecodesPercents) {
  EXPECT_EQ(percent_decode("/a%20b%2Fc%c3%A9", false), "/a b/c\xc3\xa9");
  EXPECT_EQ(percent_decode("%00", false), std::string(1, '\0'));
  EXPECT_EQ(percent_decode("%2525", false), "%25");
  EXPECT_EQ(percent_decode("", false), "");
}

TEST(UrlTest, LeavesWhatIsNoEncoding) {
  for (const char* text : {"%", "%%", "%4", "%g0", "%0g", "%-1", "a%", "% 20", "%\xff\xff"}) {
    EXPECT_EQ(percent_decode(text, false), text);
  }
  EXPECT_EQ(percent_decode("%%41", false), "%A");
}

TEST(UrlTest, TakesPlusForSpaceInFormsOnly) {
  EXPECT_EQ(percent_decode("a+b%2B", true), "a b+");
  EXPECT_EQ(percent_decode("a+b%2B", false), "a+b+");
}

TEST(UrlTest, WalksQueries) {
  EXPECT_EQ(fields_of(""), Fields());
  EXPECT_EQ(fields_of("a=1"), Fields({{"a", "1"}}));
  EXPECT_EQ(fields_of("a=1&b=x+y%26&a=2"), Fields({{"a", "1"}, {"b", "x y&"}, {"a", "2"}}));
  EXPECT_EQ(fields_of("a&b=&=c&"), Fields({{"a", ""}, {"b", ""}, {"", "c"}}));
  EXPECT_EQ(fields_of("&&a=b=c&&"), Fields({{"a", "b=c"}}));
  EXPECT_EQ(fields_of("%61%3D=1;2"), Fields({{"a=", "1;2"}}));
}

}  // namespace
}  // namespace websockets
