// SPDX-License-Identifier: MIT
#include "http/websocket_url.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace websockets {
namespace {

WebsocketUrl parsed(std::string_view text) {
  Result<WebsocketUrl> url = parse_websocket_url(text);
  EXPECT_TRUE(url) << text << ": " << url.error().text;
  return url ? *url : WebsocketUrl();
}

std::string error_of(std::string_view text) {
  const Result<WebsocketUrl> url = parse_websocket_url(text);
  EXPECT_FALSE(url) << text;
  return url.error().text;
}

void expect_parts(std::string_view text, bool is_tls, std::string_view host, int port, std::string_view target) {
  const WebsocketUrl url = parsed(text);
  EXPECT_EQ(url.is_tls, is_tls) << text;
  EXPECT_EQ(url.host, host) << text;
  EXPECT_EQ(url.port, port) << text;
  EXPECT_EQ(url.target, target) << text;
  EXPECT_EQ(url.unix_path, "") << text;
}

TEST(WebsocketUrlTest, ReadsTheSchemesAndTheirPorts) {
  expect_parts("ws://example.org/a?b=c", false, "example.org", 80, "/a?b=c");
  expect_parts("wss://example.org/", true, "example.org", 443, "/");
  expect_parts("http://example.org/", false, "example.org", 80, "/");
  expect_parts("https://example.org/", true, "example.org", 443, "/");
  expect_parts("WSS://Example.ORG:8443/A", true, "example.org", 8443, "/A");
  expect_parts("ws://a:65535", false, "a", 65535, "/");
  expect_parts("ws://a:/", false, "a", 80, "/");
  expect_parts("ws://a:0080/", false, "a", 80, "/");
}

TEST(WebsocketUrlTest, HasAPathAlways) {
  expect_parts("ws://a", false, "a", 80, "/");
  expect_parts("ws://a?b", false, "a", 80, "/?b");
  expect_parts("ws://a:1?b/c", false, "a", 1, "/?b/c");
  expect_parts("ws://a//b?", false, "a", 80, "//b?");
}

TEST(WebsocketUrlTest, ReadsIpv6Literals) {
  expect_parts("ws://[::1]/", false, "::1", 80, "/");
  expect_parts("wss://[2001:DB8::1]:8443/a", true, "2001:db8::1", 8443, "/a");
  expect_parts("ws://[::ffff:192.0.2.1]", false, "::ffff:192.0.2.1", 80, "/");
  expect_parts("ws://[fe80::1%25Eth0]/", false, "fe80::1%Eth0", 80, "/");
  expect_parts("ws://[fe80::1%eth0.1]:81/", false, "fe80::1%eth0.1", 81, "/");
  expect_parts("ws://[fe80::1%25]/", false, "fe80::1%25", 80, "/");  // the 25th interface
  for (const char* text : {"ws://[", "ws://[]", "ws://[::1", "ws://[::1]a", "ws://[::1]80", "ws://[::1%]", "ws://[a]",
                           "ws://[::g]", "ws://[fe80::1%a/b]", "ws://::1/", "ws://[::1%a%b]"}) {
    error_of(text);
  }
}

TEST(WebsocketUrlTest, DecodesUserinfo) {
  EXPECT_EQ(parsed("ws://ann:secret@a/").userinfo, "ann:secret");
  EXPECT_EQ(parsed("ws://ann:se%40c%3Aret:%2f@a/").userinfo, "ann:se@c:ret:/");
  EXPECT_EQ(parsed("ws://ann@a/").userinfo, "ann:");
  EXPECT_EQ(parsed("ws://:secret@a/").userinfo, ":secret");
  EXPECT_EQ(parsed("ws://b%C3%A4r:100%@a/").userinfo, "b\xc3\xa4r:100%");
  EXPECT_EQ(parsed("ws://@a/").userinfo, "");
  EXPECT_EQ(parsed("ws://ann:secret@a:81/b@c").host, "a");
  EXPECT_EQ(parsed("ws://ann:secret@a:81/b@c").target, "/b@c");
}

TEST(WebsocketUrlTest, ShowsNoUserinfo) {
  EXPECT_EQ(parsed("ws://ann:secret@a/b").text(), "ws://a/b");
  EXPECT_EQ(parsed("ws://ann:secret@a/b").host_header(), "a");
  EXPECT_EQ(parsed("ws://ann:secret@a/b").place(), "a");
  for (const char* text : {"ws://ann:secret@", "ws://ann:sec@ret@a/", "ws://ann:secret%0a@a/", "wsx://ann:secret@a/",
                           "ann:secret@a", "ws://a%3An:secret@a/", "ws://ann:secret@a/#b", "ws://ann:secret@a b/",
                           "ws://ann:secret/@a:x/", "ws:ann:secret@a", "ws://ann:secret@a:0/", "ws://ann:secret@[/"}) {
    EXPECT_EQ(error_of(text).find("secret"), std::string::npos) << text;
    EXPECT_EQ(error_of(text).find("ann"), std::string::npos) << text;
  }
}

TEST(WebsocketUrlTest, WritesItself) {
  for (const char* text :
       {"ws://a/", "wss://a/", "ws://a:443/", "wss://a:80/b?c", "ws://[::1]/", "wss://[::1]:81/",
        "ws://[fe80::1%25eth0]:81/", "ws+unix:/run/a.sock:/b?c", "ws+unix:/a%20%25%3A%3F%23:/", "ws+unix:////a:/"}) {
    EXPECT_EQ(parsed(text).text(), text);
    EXPECT_EQ(parsed(parsed(text).text()).text(), text);
  }
  EXPECT_EQ(parsed("https://a:443").text(), "wss://a/");
  EXPECT_EQ(parsed("ws://a:80/").host_header(), "a");
  EXPECT_EQ(parsed("ws://a:443/").host_header(), "a:443");
  EXPECT_EQ(parsed("wss://a:80/").host_header(), "a:80");
  EXPECT_EQ(parsed("ws://[fe80::1%25eth0]/").host_header(), "[fe80::1]");
  EXPECT_EQ(parsed("ws://[fe80::1%25eth0]:81/").host_header(), "[fe80::1]:81");
  EXPECT_EQ(authority("a", 80), "a:80");
  EXPECT_EQ(authority("::1", 80), "[::1]:80");
}

TEST(WebsocketUrlTest, EncodesWhatNoPathMayHave) {
  EXPECT_EQ(parsed("ws://a/\xc3\xa4?\xff").target, "/%C3%A4?%FF");
  EXPECT_EQ(parsed("ws://a/\"<>\\^`{|}").target, "/%22%3C%3E%5C%5E%60%7B%7C%7D");
  EXPECT_EQ(parsed("ws://a/%20%zz%?[]@:!$&'()*+,;=-._~/").target, "/%20%zz%?[]@:!$&'()*+,;=-._~/");
}

TEST(WebsocketUrlTest, RefusesWhatWouldBeAnotherRequest) {
  for (const std::string& bad : {std::string("\r"), std::string("\n"), std::string("\0", 1), std::string(" "),
                                 std::string("\t"), std::string("\x7f"), std::string("\x1f")}) {
    for (const std::string& text : {"ws://a/" + bad, "ws://a" + bad + "/", bad + "ws://a/", "ws://a/?" + bad + "b",
                                    "ws://b" + bad + "@a/", "ws+unix:/a" + bad + ":/"}) {
      const std::string error = error_of(text);
      EXPECT_NE(error.find("control character"), std::string::npos) << error;
      EXPECT_EQ(error.find('\n'), std::string::npos);
      EXPECT_EQ(error.find('\0'), std::string::npos);
    }
  }
}

TEST(WebsocketUrlTest, RefusesFragments) {
  for (const char* text : {"ws://a/#", "ws://a#b", "ws://a/?b#c", "ws+unix:/a:/#b"}) {
    EXPECT_NE(error_of(text).find("fragment"), std::string::npos);
  }
  EXPECT_EQ(parsed("ws://a/%23").target, "/%23");
}

TEST(WebsocketUrlTest, AsksForALabels) {
  EXPECT_NE(error_of("ws://b\xc3\xbc"
                     "cher.example/")
                .find("A-label"),
            std::string::npos);
  EXPECT_EQ(parsed("ws://xn--bcher-kva.example/").host, "xn--bcher-kva.example");
}

TEST(WebsocketUrlTest, RefusesOtherHostsPortsAndSchemes) {
  for (const char* text : {"",
                           "a",
                           "ws",
                           "ws:",
                           "ws:/a",
                           "ws:a",
                           "ws//a",
                           "://a",
                           "//a/",
                           "ftp://a/",
                           "wss+ws://a",
                           "ws://",
                           "ws:///",
                           "ws://:80/",
                           "ws://?a",
                           "ws://a\\b/",
                           "ws://a,b/",
                           "ws://a%41/",
                           "ws://a;b/",
                           "ws://a:b/",
                           "ws://a:0/",
                           "ws://a:65536/",
                           "ws://a:-1/",
                           "ws://a:+1/",
                           "ws://a:8 0/",
                           "ws://a:80:80/",
                           "ws://a:99999999999999999999/"}) {
    EXPECT_NE(error_of(text).find("is no URL of a websocket: "), std::string::npos) << text;
  }
  EXPECT_EQ(error_of("ftp://a/"),
            "'ftp://a/' is no URL of a websocket: it does not begin with ws://, wss://, http://, "
            "https:// or ws+unix:");
}

TEST(WebsocketUrlTest, ReadsPathsOfUnixSockets) {
  WebsocketUrl url = parsed("ws+unix:/run/a%20b.sock:/c?d");
  EXPECT_EQ(url.unix_path, "/run/a b.sock");
  EXPECT_EQ(url.target, "/c?d");
  EXPECT_EQ(url.host_header(), "localhost");
  EXPECT_EQ(url.place(), url.unix_path);
  EXPECT_FALSE(url.is_tls);
  url = parsed("ws+unix:///run/a.sock");
  EXPECT_EQ(url.unix_path, "/run/a.sock");
  EXPECT_EQ(url.target, "/");
  EXPECT_EQ(parsed("WS+UNIX:a.sock:?b:c").unix_path, "a.sock");
  EXPECT_EQ(parsed("WS+UNIX:a.sock:?b:c").target, "/?b:c");
  for (const char* text : {"ws+unix:", "ws+unix::/a", "ws+unix://host/a", "ws+unix:/a%00b:/", "ws+unix:/a%0Ab:/"})
    error_of(text);
  EXPECT_NE(error_of("wss+unix:/a:/").find("option unix"), std::string::npos);
}

}  // namespace
}  // namespace websockets
