// SPDX-License-Identifier: MIT
#include "client/redirect.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace websockets {
namespace {

WebsocketUrl url_of(std::string_view text) { return *parse_websocket_url(text); }

std::string resolved(std::string_view location, std::string_view base = "ws://a/b/c/d;p?q") {
  return resolve_location(url_of(base), location);
}

// RFC 3986 5.4, but for fragments.
TEST(RedirectTest, ResolvesTheExamplesOfTheStandard) {
  for (const auto& [reference, target] : {std::pair<const char*, const char*>{"g", "/b/c/g"},
                                          {"./g", "/b/c/g"},
                                          {"g/", "/b/c/g/"},
                                          {"/g", "/g"},
                                          {"?y", "/b/c/d;p?y"},
                                          {"g?y", "/b/c/g?y"},
                                          {"#s", "/b/c/d;p?q"},
                                          {"g#s", "/b/c/g"},
                                          {"g?y#s", "/b/c/g?y"},
                                          {";x", "/b/c/;x"},
                                          {"g;x", "/b/c/g;x"},
                                          {"", "/b/c/d;p?q"},
                                          {".", "/b/c/"},
                                          {"./", "/b/c/"},
                                          {"..", "/b/"},
                                          {"../", "/b/"},
                                          {"../g", "/b/g"},
                                          {"../..", "/"},
                                          {"../../", "/"},
                                          {"../../g", "/g"},
                                          {"../../../g", "/g"},
                                          {"../../../../g", "/g"},
                                          {"/./g", "/g"},
                                          {"/../g", "/g"},
                                          {"g.", "/b/c/g."},
                                          {".g", "/b/c/.g"},
                                          {"g..", "/b/c/g.."},
                                          {"..g", "/b/c/..g"},
                                          {"./../g", "/b/g"},
                                          {"./g/.", "/b/c/g/"},
                                          {"g/./h", "/b/c/g/h"},
                                          {"g/../h", "/b/c/h"},
                                          {"g;x=1/./y", "/b/c/g;x=1/y"},
                                          {"g;x=1/../y", "/b/c/y"},
                                          {"g?y/./x", "/b/c/g?y/./x"},
                                          {"g?y/../x", "/b/c/g?y/../x"}}) {
    EXPECT_EQ(resolved(reference), std::string("ws://a") + target) << reference;
  }
  EXPECT_EQ(resolved("//g"), "ws://g");
  EXPECT_EQ(resolved("g:h"), "g:h");
  EXPECT_EQ(resolved("//g/h", "wss://a/"), "wss://g/h");
  EXPECT_EQ(resolved("1:2"), "ws://a/b/c/1:2");
  EXPECT_EQ(resolved("g", "ws://a:81?x/y"), "ws://a:81/g");
}

TEST(RedirectTest, KnowsOrigins) {
  const WebsocketUrl a = url_of("ws://a/b");
  for (const char* same : {"ws://a/c", "http://A:80/", "ws://ann@a/"}) EXPECT_TRUE(is_same_origin(a, url_of(same)));
  for (const char* other : {"wss://a/", "ws://b/", "ws://a:81/", "ws://a.b/", "ws+unix:/a:/"}) {
    EXPECT_FALSE(is_same_origin(a, url_of(other))) << other;
  }
  EXPECT_FALSE(is_same_origin(url_of("ws+unix:/a:/"), url_of("ws://localhost/")));
}

TEST(RedirectTest, FollowsWithinAnOrigin) {
  Redirects redirects(2);
  const Redirects::Step step = redirects.follow(url_of("wss://ann:secret@a/b"), "/c");
  EXPECT_FALSE(step.failure);
  EXPECT_EQ(step.url.text(), "wss://a/c");
  EXPECT_EQ(step.url.userinfo, "ann:secret");
  EXPECT_FALSE(step.is_other_origin);
  EXPECT_EQ(redirects.follow(step.url, "https://bob:pw@A/d").url.userinfo, "bob:pw");
}

TEST(RedirectTest, TellsOfAnotherOrigin) {
  for (const char* location : {"ws://b/", "//b/", "http://a:81/", "wss://a/", "https://a/"}) {
    const Redirects::Step step = Redirects(1).follow(url_of("ws://ann:secret@a/"), location);
    EXPECT_FALSE(step.failure) << step.failure.message;
    EXPECT_TRUE(step.is_other_origin) << location;
    EXPECT_EQ(step.url.userinfo, "") << location;
  }
}

TEST(RedirectTest, StaysOnAUnixSocketUnlessAHostIsNamed) {
  const WebsocketUrl from = url_of("ws+unix:/run/a:/b");
  Redirects::Step step = Redirects(1).follow(from, "c");
  EXPECT_EQ(step.url.text(), "ws+unix:/run/a:/c");
  EXPECT_FALSE(step.is_other_origin);
  step = Redirects(1).follow(from, "ws://localhost/c");
  EXPECT_EQ(step.url.text(), "ws://localhost/c");
  EXPECT_TRUE(step.is_other_origin);
  EXPECT_TRUE(Redirects(1).follow(from, "ws+unix:/run/b:/").failure);
  step = Redirects(1).follow(url_of("ws+unix:/run/a%20%2541:/b"), "/c");
  EXPECT_EQ(step.url.unix_path, "/run/a %41");
}

void expect_refused(std::string_view from, std::string_view location, std::string_view why) {
  const Redirects::Step step = Redirects(9).follow(url_of(from), location);
  EXPECT_EQ(step.failure.kind, FailureKind::kHttp) << location;
  EXPECT_TRUE(step.failure.is_final);
  EXPECT_NE(step.failure.message.find(why), std::string::npos) << step.failure.message;
  EXPECT_EQ(step.failure.message.find("secret"), std::string::npos) << step.failure.message;
}

TEST(RedirectTest, RefusesToGoElsewhere) {
  for (const char* location : {"ftp://a/", "file:///etc/passwd", "javascript:0", "ws:a", "http:///b", "//"}) {
    expect_refused("ws://ann:secret@a/", location, "a: the server redirects, but ");
  }
  expect_refused("ws://a/", "ws://ann:secret@b:0/", "is no URL of a websocket");
  expect_refused("ws://a/", "/b c", "is no URL of a websocket");
  expect_refused("ws://a/", "ws+unix:/run/docker.sock:/", "to a unix socket");
  expect_refused("ws://a/", "", "to nowhere");
  for (const char* location : {"ws://a/", "http://a/", "ws://a:443/"}) {
    expect_refused("wss://a/", location, "to a connection without TLS");
  }
}

TEST(RedirectTest, EndsACircle) {
  expect_refused("ws://a/", "", "nowhere");
  expect_refused("ws://a/", "/", "in a circle");
  expect_refused("ws://a/", "http://A:80#b", "in a circle");
  Redirects redirects(9);
  const Redirects::Step step = redirects.follow(url_of("ws://a/b"), "/c");
  EXPECT_FALSE(step.failure);
  EXPECT_NE(redirects.follow(step.url, "/b").failure.message.find("in a circle"), std::string::npos);
}

TEST(RedirectTest, FollowsSoManyAndNoMore) {
  Redirects redirects(3);
  WebsocketUrl url = url_of("ws://a/0");
  for (int i = 1; i <= 3; ++i) {
    const Redirects::Step step = redirects.follow(url, "/" + std::to_string(i));
    ASSERT_FALSE(step.failure);
    url = step.url;
  }
  EXPECT_EQ(url.target, "/3");
  EXPECT_NE(redirects.follow(url, "/4").failure.message.find("too often"), std::string::npos);
}

}  // namespace
}  // namespace websockets
