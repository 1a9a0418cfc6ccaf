// SPDX-License-Identifier: MIT
#include "http/framing_rules.h"

#include <gtest/gtest.h>

#include <string_view>

namespace websockets {
namespace {

FramingRules rules_with_host(int minor_version = 1) {
  FramingRules rules(minor_version);
  rules.host("a");
  return rules;
}

int status_of_transfer_encoding(std::string_view value) {
  FramingRules rules = rules_with_host();
  rules.transfer_encoding(value);
  return rules.verdict().status;
}

TEST(FramingRules, TakeARequestWithNothingButAHost) {
  const FramingRules rules = rules_with_host();
  EXPECT_EQ(rules.verdict().status, 0);
  EXPECT_TRUE(rules.keep_alive());
  EXPECT_FALSE(rules.has_body());
  EXPECT_FALSE(rules.expects_continue());
}

TEST(FramingRules, WantOneHostFromHttp11On) {
  EXPECT_EQ(FramingRules(1).verdict().status, 400);
  EXPECT_EQ(FramingRules(0).verdict().status, 0);
  FramingRules twice = rules_with_host();
  twice.host("a");
  EXPECT_EQ(twice.verdict().status, 400);
}

TEST(FramingRules, KnowWhatAHostLooksLike) {
  const auto status_of_host = [](std::string_view value) {
    FramingRules rules(1);
    rules.host(value);
    return rules.verdict().status;
  };
  for (const char* good : {"", "example.com", "example.com:8080", "127.0.0.1:80", "[::1]:80", "[fe80::1%25eth0]",
                           "a:", "a_b-c~d", "a%20b"}) {
    EXPECT_EQ(status_of_host(good), 0) << good;
  }
  for (const char* bad : {"a b", "a,b",   "a/b",  "a@b", "a\tb", "a?b",  "a#b",     "a\\b", "<a>", "\"a\"", "\xc3\xa4",
                          "a:b", "a:1:2", "[::1", "::1", "[]",   "[a]b", "[::1]80", "a]",   "a%2", "a%zz"}) {
    EXPECT_EQ(status_of_host(bad), 400) << bad;
  }
  EXPECT_EQ(status_of_host(std::string_view("a\0b", 3)), 400);
}

TEST(FramingRules, TakeOneContentLengthOfDigits) {
  const auto rules_with_length = [](std::string_view value) {
    FramingRules rules = rules_with_host();
    rules.content_length(value);
    return rules;
  };
  EXPECT_TRUE(rules_with_length("10").has_body());
  EXPECT_TRUE(rules_with_length("0001").has_body());
  EXPECT_FALSE(rules_with_length("0").has_body());
  EXPECT_FALSE(rules_with_length("000").has_body());
  for (const char* bad : {"", "+1", "-1", "0x1", "1,1", "1 ", "1.0", "1e3", "a"}) {
    EXPECT_EQ(rules_with_length(bad).verdict().status, 400) << bad;
  }
  FramingRules twice = rules_with_length("1");
  EXPECT_EQ(twice.verdict().status, 0);
  twice.content_length("1");
  EXPECT_EQ(twice.verdict().status, 400);
}

TEST(FramingRules, TakeNoTransferEncodingButChunked) {
  EXPECT_EQ(status_of_transfer_encoding("chunked"), 0);
  EXPECT_EQ(status_of_transfer_encoding("CHUNKED"), 0);
  for (const char* unknown : {"gzip", "identity", "gzip, chunked", "xchunked", "chunked2", "gzip,deflate , chunked"}) {
    EXPECT_EQ(status_of_transfer_encoding(unknown), 501) << unknown;
  }
  for (const char* malformed : {"", ",", "chunked,", ",chunked", "chunked,chunked", "chunked, gzip", "chunked;a=b",
                                "\"chunked\"", "chun ked", "gzip,,chunked", "\vchunked"}) {
    EXPECT_EQ(status_of_transfer_encoding(malformed), 400) << malformed;
  }
}

TEST(FramingRules, TakeTransferEncodingOnceAndAlone) {
  FramingRules twice = rules_with_host();
  twice.transfer_encoding("chunked");
  EXPECT_EQ(twice.verdict().status, 0);
  EXPECT_TRUE(twice.has_body());
  twice.transfer_encoding("chunked");
  EXPECT_EQ(twice.verdict().status, 400);

  FramingRules with_length = rules_with_host();
  with_length.transfer_encoding("chunked");
  with_length.content_length("0");
  EXPECT_EQ(with_length.verdict().status, 400);

  FramingRules old = rules_with_host(0);
  old.transfer_encoding("chunked");
  EXPECT_EQ(old.verdict().status, 400);
}

TEST(FramingRules, KnowOneExpectation) {
  FramingRules rules = rules_with_host();
  rules.expect("100-Continue");
  EXPECT_FALSE(rules.expects_continue());
  rules.content_length("1");
  EXPECT_TRUE(rules.expects_continue());
  EXPECT_EQ(rules.verdict().status, 0);
  rules.expect("more");
  EXPECT_EQ(rules.verdict().status, 417);

  FramingRules old(0);
  old.expect("100-continue");
  old.content_length("1");
  EXPECT_FALSE(old.expects_continue());
}

TEST(FramingRules, LetCloseWin) {
  FramingRules rules = rules_with_host();
  rules.connection("keep-alive, Upgrade");
  rules.connection("");
  EXPECT_TRUE(rules.keep_alive());
  rules.connection("Upgrade , CLOSE");
  rules.connection("keep-alive");
  EXPECT_FALSE(rules.keep_alive());

  FramingRules old(0);
  EXPECT_FALSE(old.keep_alive());
  old.connection("Keep-Alive");
  EXPECT_TRUE(old.keep_alive());
}

TEST(FramingRules, TakeNoContentWithAnUpgradeToWebsocket) {
  for (const char* list : {"websocket", "h2c, WebSocket", "websocket, h2c", "websocket,websocket", ",websocket,"}) {
    FramingRules rules = rules_with_host();
    rules.upgrade(list);
    rules.upgrade(list);
    rules.content_length("0");
    EXPECT_EQ(rules.verdict().status, 0) << list;

    FramingRules with_content = rules_with_host();
    with_content.content_length("1");
    with_content.upgrade(list);
    EXPECT_EQ(with_content.verdict().status, 400) << list;
  }
  FramingRules other = rules_with_host();
  other.upgrade("websocket2, h2c,");
  other.content_length("1");
  EXPECT_EQ(other.verdict().status, 0);
}

TEST(FramingRules, SayWhatWasWrongFirst) {
  FramingRules rules(1);
  rules.expect("more");
  rules.content_length("x");
  rules.host("a b");
  EXPECT_EQ(rules.verdict().status, 417);
  EXPECT_EQ(rules.verdict().text, "This expectation cannot be met, only 100-continue can.");
}

}  // namespace
}  // namespace websockets
