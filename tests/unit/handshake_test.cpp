// SPDX-License-Identifier: MIT
#include "websocket/handshake.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace websockets {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 1.3

HandshakeRequest good_request() {
  return {.method = "GET",
          .http_minor_version = 1,
          .host = "example.com",
          .upgrade = "websocket",
          .connection = "Upgrade",
          .key = kKey,
          .version = "13",
          .extensions = {},
          .has_host = true,
          .has_key = true,
          .has_version = true};
}

TEST(Handshake, AcceptsWhatTheRfcAsksFor) {
  const HandshakeVerdict verdict = check_handshake(good_request());
  EXPECT_EQ(verdict.status, 101);
  EXPECT_TRUE(verdict.text.empty());
}

TEST(Handshake, AcceptsListsInAnyCase) {
  HandshakeRequest request = good_request();
  request.upgrade = "h2c,\tWebSocket ";
  request.connection = "keep-alive, , UPGRADE";
  EXPECT_EQ(check_handshake(request).status, 101);
}

TEST(Handshake, AcceptsLaterMinorVersionsAndAnEmptyHost) {
  HandshakeRequest request = good_request();
  request.http_minor_version = 2;
  request.host = "";
  EXPECT_EQ(check_handshake(request).status, 101);
}

struct Refusal {
  const char* name;
  std::function<void(HandshakeRequest&)> spoil;
  int status;
  const char* word;  // of the text
};

const Refusal kRefusals[] = {
    {"POST", [](HandshakeRequest& request) { request.method = "POST"; }, 405, "GET"},
    {"get", [](HandshakeRequest& request) { request.method = "get"; }, 405, "GET"},
    {"no method", [](HandshakeRequest& request) { request.method = ""; }, 405, "GET"},
    {"HTTP/1.0", [](HandshakeRequest& request) { request.http_minor_version = 0; }, 400, "HTTP/1.1"},
    {"no host", [](HandshakeRequest& request) { request.has_host = false; }, 400, "Host"},
    {"repeated", [](HandshakeRequest& request) { request.repeated_header = true; }, 400, "more than once"},
    {"no upgrade", [](HandshakeRequest& request) { request.upgrade = ""; }, 400, "Upgrade"},
    {"other upgrade", [](HandshakeRequest& request) { request.upgrade = "websockets"; }, 400, "Upgrade"},
    {"no connection", [](HandshakeRequest& request) { request.connection = ""; }, 400, "Connection"},
    {"keep-alive", [](HandshakeRequest& request) { request.connection = "keep-alive"; }, 400, "Connection"},
    {"no version", [](HandshakeRequest& request) { request.has_version = false; }, 400, "Sec-WebSocket-Version"},
    {"version 8", [](HandshakeRequest& request) { request.version = "8"; }, 426, "13"},
    {"version 013", [](HandshakeRequest& request) { request.version = "013"; }, 426, "13"},
    {"versions", [](HandshakeRequest& request) { request.version = "13, 8"; }, 426, "13"},
    {"empty version", [](HandshakeRequest& request) { request.version = ""; }, 426, "13"},
    {"no key", [](HandshakeRequest& request) { request.has_key = false; }, 400, "Sec-WebSocket-Key"},
};

TEST(Handshake, RefusesWhatIsMissingOrDifferent) {
  for (const Refusal& refusal : kRefusals) {
    HandshakeRequest request = good_request();
    refusal.spoil(request);
    const HandshakeVerdict verdict = check_handshake(request);
    EXPECT_EQ(verdict.status, refusal.status) << refusal.name;
    EXPECT_NE(verdict.text.find(refusal.word), std::string_view::npos) << refusal.name << ": " << verdict.text;
    EXPECT_TRUE(verdict.text.ends_with('.')) << verdict.text;
  }
}

TEST(Handshake, RefusesKeysThatAreNotSixteenBytesInBase64) {
  const std::string_view bad_keys[] = {
      "",
      "dGhlIHNhbXBsZSBub25jZQ",         // no padding
      "dGhlIHNhbXBsZSBub25jZQ=",        //
      "dGhlIHNhbXBsZSBub25jZQ===",      //
      "dGhlIHNhbXBsZSBub25jZQ== ",      //
      "dGhlIHNhbXBsZSBub25jZWE=",       // 17 bytes
      "dGhlIHNhbXBsZSBub25jZWFi",       // 18 bytes
      "dGhlIHNhbXBsZSBub25j====",       // 15 bytes
      "dGhlIHNhbXBsZSBub25jZR==",       // bits behind the last byte
      "dGhlIHNhbXBsZSBub25jZ===",       //
      "dGhlIHNhbXBs ZSBub25jZQ=",       //
      "dGhlIHNhbXBs-SBub25jZQ==",       // base64url
      "dGhlIHNhbXBs_SBub25jZQ==",       //
      "dGhlIHNhb\xC3\xA4ZSBub25jZQ==",  //
      std::string_view("dGhlIHNhbX\0sZSBub25jZQ==", 24),
  };
  for (const std::string_view key : bad_keys) {
    HandshakeRequest request = good_request();
    request.key = key;
    EXPECT_EQ(check_handshake(request).status, 400) << key;
  }
  for (const std::string_view key :
       {"AAAAAAAAAAAAAAAAAAAAAA==", "//////////////////////==", "+/09azAZ+/09azAZ+/09ag=="}) {
    HandshakeRequest request = good_request();
    request.key = key;
    EXPECT_EQ(check_handshake(request).status, key.starts_with("//") ? 400 : 101) << key;
  }
}

TEST(Handshake, ComputesTheAcceptKeyOfTheRfc) {
  EXPECT_EQ(accept_key(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(accept_key("x3JJHMbDL1EzLkh9GBhXDw=="), "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

TEST(Handshake, FindsTokensInLists) {
  EXPECT_TRUE(list_has_token("websocket", "websocket"));
  EXPECT_TRUE(list_has_token(" ,, a ,\tWebSocket\t,", "websocket"));
  EXPECT_TRUE(list_has_token("a,b", "B"));
  EXPECT_FALSE(list_has_token("", "websocket"));
  EXPECT_FALSE(list_has_token(" , ,", "websocket"));
  EXPECT_FALSE(list_has_token("websocket2, web socket", "websocket"));
  EXPECT_FALSE(list_has_token("websocket/13", "websocket"));
  EXPECT_FALSE(list_has_token("web", "websocket"));
  EXPECT_TRUE(asks_for_websocket("h2c, WebSocket"));
  EXPECT_FALSE(asks_for_websocket("h2c"));
}

TEST(Handshake, KnowsTokens) {
  const std::string_view allowed =
      "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";  // RFC 9110 5.6.2
  for (int code = 0; code < 256; ++code) {
    const char letter = static_cast<char>(code);
    EXPECT_EQ(is_token({&letter, 1}), allowed.find(letter) != std::string_view::npos) << code;
  }
  EXPECT_TRUE(is_token(allowed));
  EXPECT_FALSE(is_token(""));
  EXPECT_FALSE(is_token("two words"));
}

TEST(Handshake, KnowsListsOfExtensions) {
  for (const std::string_view list :
       {"", " ", ",", " , ,", "x", "x,y", " ,, x\t, y ,", "x;a", "x ; a ; b=1;c = d", "x;a=\"b\"", "x; a=\"\\b\\c\"",
        "x;a;a, x;a", "permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\""}) {
    EXPECT_TRUE(is_extension_list(list)) << list;
  }
  for (const std::string_view list :
       {"x y",         ";a",          "x;",          "x;;a",        "x;a;",        "x;=1",
        "x;a=",        "x;a=b c",     "x;a b",       "x;a==b",      "x=1",         "x/y",
        "\"x\"",       "x;\"a\"",     "x;a=\"\"",    "x;a=\"",      "x;a=\"b",     "x;a=b\"",
        "x;a=\"b c\"", "x;a=\"b,c\"", "x;a=\"b;c\"", "x;a=\"b=c\"", "x;a=\"b\\\"", "x;a=\"b\\\\c\"",
        "x;a=\"\\\"",  "x;a=\"b\"c",  "x, y;",       "y;, x",       "\xC3\xA4"}) {
    EXPECT_FALSE(is_extension_list(list)) << list;
  }
  EXPECT_FALSE(is_extension_list(std::string_view("x\0", 2)));
}

TEST(Handshake, KnowsEmptyLists) {
  for (const std::string_view list : {"", " ", ",", " ,\t,"}) EXPECT_TRUE(is_empty_list(list)) << list;
  for (const std::string_view list : {"x", ", x", "\"\""}) EXPECT_FALSE(is_empty_list(list)) << list;
}

TEST(Handshake, ChecksExtensionsOnlyWhereThereAreAny) {
  HandshakeRequest request = good_request();
  request.extensions = " ,";
  EXPECT_EQ(check_handshake(request).status, 101);
  request.extensions = "x;";
  EXPECT_EQ(check_handshake(request).status, 400);
  request.extensions = "x; a=1";
  EXPECT_EQ(check_handshake(request).status, 101);
  // Another version may have another grammar.
  request.extensions = "x y";
  request.version = "14";
  EXPECT_EQ(check_handshake(request).status, 426);
}

struct OfferCase {
  std::string_view list;
  std::vector<std::string_view> offers;
  bool malformed;
};

const OfferCase kOfferCases[] = {
    {"", {}, false},
    {"chat", {"chat"}, false},
    {"chat, superchat", {"chat", "superchat"}, false},
    {"\tchat ,superchat,\t", {"chat", "superchat"}, false},
    {"a,,b", {"a", "b"}, false},
    {"Chat, chat", {"Chat", "chat"}, false},  // names differ by case
    {"a, aa, aaa", {"a", "aa", "aaa"}, false},
    {"chat, chat", {"chat", "chat"}, true},
    {"a, b, c, a, d", {"a", "b", "c", "a", "d"}, true},
    {"two words, chat", {"chat"}, true},
    {"chat, v1/2", {"chat"}, true},
    {"\"chat\"", {}, true},
    {"chat;q=1", {}, true},
};

TEST(SubprotocolOffers, WalksTheListAndTellsWhetherItIsWellFormed) {
  for (const OfferCase& expected : kOfferCases) {
    SubprotocolOffers offers(expected.list);
    std::vector<std::string_view> found;
    for (std::string_view offer = offers.next(); !offer.empty(); offer = offers.next()) {
      found.push_back(offer);
    }
    EXPECT_EQ(found, expected.offers) << expected.list;
    EXPECT_EQ(offers.malformed(), expected.malformed) << expected.list;
    EXPECT_TRUE(offers.next().empty());
  }
}

TEST(SubprotocolOffers, EndsBehindAsManyAsAnyoneMayOffer) {
  for (const unsigned count : {SubprotocolOffers::kMaxOffers, SubprotocolOffers::kMaxOffers + 1, 5000U}) {
    std::string list;
    for (unsigned index = 0; index < count; ++index) {
      list.append("p").append(std::to_string(index)).append(",");
    }
    SubprotocolOffers offers(list);
    unsigned found = 0;
    while (!offers.next().empty()) {
      ++found;
    }
    EXPECT_EQ(found, SubprotocolOffers::kMaxOffers);
    EXPECT_EQ(offers.malformed(), count > SubprotocolOffers::kMaxOffers);
  }
}

}  // namespace
}  // namespace websockets
