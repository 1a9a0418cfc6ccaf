// SPDX-License-Identifier: MIT
#include "websocket/deflate_negotiation.h"

#include <gtest/gtest.h>

#include <string>

#include "websocket/handshake.h"

namespace websockets {
namespace {

constexpr DeflateParameters kAnything = {};
constexpr DeflateParameters kNoTakeover = {.server_no_context_takeover = true, .client_no_context_takeover = true};
constexpr DeflateParameters kSmallWindows = {.server_max_window_bits = 10, .client_max_window_bits = 11};

// What is answered behind "permessage-deflate"; "declined" when no offer was accepted. `offers` without that name.
std::string answer(std::string_view offers, const DeflateParameters& wanted = kAnything) {
  const std::string name = "permessage-deflate";
  std::string all(offers);
  for (std::size_t at = all.find('@'); at != std::string::npos; at = all.find('@')) all.replace(at, 1, name);
  EXPECT_TRUE(is_extension_list(all)) << all;
  const std::optional<DeflateAgreement> agreement = negotiate_deflate(all, wanted);
  if (!agreement) return "declined";
  EXPECT_TRUE(agreement->answer.starts_with(name));
  return agreement->answer.substr(name.size());
}

TEST(DeflateNegotiation, AcceptsAnOfferWithoutParameters) {
  EXPECT_EQ(answer("@"), "");
  EXPECT_EQ(answer("@", kNoTakeover), "; server_no_context_takeover; client_no_context_takeover");
}

// RFC 7692 7.1.1.
TEST(DeflateNegotiation, LetsNobodyKeepAWindowThatTheOtherSideDoesNotWant) {
  EXPECT_EQ(answer("@; server_no_context_takeover"), "; server_no_context_takeover");
  EXPECT_EQ(answer("@; client_no_context_takeover"), "; client_no_context_takeover");
  EXPECT_EQ(answer("@;client_no_context_takeover ;\tserver_no_context_takeover"),
            "; server_no_context_takeover; client_no_context_takeover");
  EXPECT_EQ(answer("@", {.server_no_context_takeover = true}), "; server_no_context_takeover");
  EXPECT_EQ(answer("@", {.client_no_context_takeover = true}), "; client_no_context_takeover");
}

// RFC 7692 7.1.2.1: what was asked for is confirmed, with the same or a smaller value.
TEST(DeflateNegotiation, HasTheSmallerWindowOfTheServer) {
  EXPECT_EQ(answer("@; server_max_window_bits=12"), "; server_max_window_bits=12");
  EXPECT_EQ(answer("@; server_max_window_bits=15"), "; server_max_window_bits=15");
  EXPECT_EQ(answer("@; server_max_window_bits=12", {.server_max_window_bits = 10}), "; server_max_window_bits=10");
  EXPECT_EQ(answer("@; server_max_window_bits=9", {.server_max_window_bits = 10}), "; server_max_window_bits=9");
  EXPECT_EQ(answer("@", {.server_max_window_bits = 10}), "; server_max_window_bits=10");
}

// RFC 7692 7.1.2.2: it is in the answer only if it was in the offer.
TEST(DeflateNegotiation, HasTheSmallerWindowOfTheClient) {
  EXPECT_EQ(answer("@; client_max_window_bits"), "");
  EXPECT_EQ(answer("@; client_max_window_bits=15"), "");
  EXPECT_EQ(answer("@; client_max_window_bits=8"), "; client_max_window_bits=8");
  EXPECT_EQ(answer("@; client_max_window_bits", {.client_max_window_bits = 11}), "; client_max_window_bits=11");
  EXPECT_EQ(answer("@; client_max_window_bits=10", {.client_max_window_bits = 11}), "; client_max_window_bits=10");
  EXPECT_EQ(answer("@; client_max_window_bits=13", {.client_max_window_bits = 11}), "; client_max_window_bits=11");
}

TEST(DeflateNegotiation, LetsAClientKeepNoWindowThatIsTooLarge) {
  EXPECT_EQ(answer("@", {.client_max_window_bits = 11}), "; client_no_context_takeover");
  EXPECT_EQ(answer("@; server_max_window_bits=10", kSmallWindows),
            "; client_no_context_takeover; server_max_window_bits=10");
}

TEST(DeflateNegotiation, SaysWhatWasAgreedUpon) {
  const std::optional<DeflateAgreement> agreement = negotiate_deflate(
      "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits",
      kSmallWindows);
  ASSERT_TRUE(agreement);
  EXPECT_TRUE(agreement->parameters.server_no_context_takeover);
  EXPECT_FALSE(agreement->parameters.client_no_context_takeover);
  EXPECT_EQ(agreement->parameters.server_max_window_bits, 10);
  EXPECT_EQ(agreement->parameters.client_max_window_bits, 11);
}

TEST(DeflateNegotiation, TakesQuotedValues) {
  EXPECT_EQ(answer("@; server_max_window_bits=\"12\""), "; server_max_window_bits=12");
  EXPECT_EQ(answer("@; server_max_window_bits=\"\\1\\2\""), "; server_max_window_bits=12");
  EXPECT_EQ(answer("@; client_max_window_bits = \"9\""), "; client_max_window_bits=9");
}

// RFC 7692 7.1.
TEST(DeflateNegotiation, DeclinesWhatAnOfferMustNotSay) {
  for (const char* offer : {
           "@; unknown",
           "@; unknown=1",
           "@; Server_no_context_takeover",
           "@; server_no_context_takeover=1",
           "@; server_no_context_takeover=\"true\"",
           "@; client_no_context_takeover=0",
           "@; server_max_window_bits",
           "@; server_max_window_bits=7",
           "@; server_max_window_bits=16",
           "@; server_max_window_bits=010",
           "@; server_max_window_bits=09",
           "@; server_max_window_bits=+9",
           "@; server_max_window_bits=1",
           "@; server_max_window_bits=0",
           "@; server_max_window_bits=10a",
           "@; server_max_window_bits=1.0",
           "@; server_max_window_bits=100",
           "@; server_max_window_bits=4294967305",
           "@; server_max_window_bits=\"7\"",
           "@; client_max_window_bits=7",
           "@; client_max_window_bits=16",
           "@; client_max_window_bits=08",
           "@; client_max_window_bits=x",
           "@; server_no_context_takeover; server_no_context_takeover",
           "@; client_no_context_takeover; client_no_context_takeover",
           "@; server_max_window_bits=10; server_max_window_bits=10",
           "@; client_max_window_bits; client_max_window_bits",
           "@; client_max_window_bits; client_max_window_bits=10",
           "@; client_max_window_bits=10; unknown; client_no_context_takeover",
       }) {
    EXPECT_EQ(answer(offer), "declined") << offer;
  }
}

// zlib compresses with a window of 512 bytes at least.
TEST(DeflateNegotiation, DeclinesAWindowOf256BytesForTheServer) {
  EXPECT_EQ(answer("@; server_max_window_bits=8"), "declined");
  EXPECT_EQ(answer("@; server_max_window_bits=8, @; client_no_context_takeover"), "; client_no_context_takeover");
}

TEST(DeflateNegotiation, AcceptsTheFirstOfferThatItCan) {
  EXPECT_EQ(answer("@; server_max_window_bits=10, @; server_no_context_takeover"), "; server_max_window_bits=10");
  EXPECT_EQ(answer("@; unknown, @; server_max_window_bits=16, @; server_max_window_bits=11, @"),
            "; server_max_window_bits=11");
  EXPECT_EQ(answer("x, , y; z=\"1\" , @ , v"), "");
}

TEST(DeflateNegotiation, KnowsNoOtherExtension) {
  for (const char* offer : {"x", "permessage-deflate2", "Permessage-deflate", "x-webkit-deflate-frame",
                            "deflate; permessage-deflate", "permessage-bzip2, permessage-snappy"}) {
    EXPECT_EQ(answer(offer), "declined") << offer;
  }
}

}  // namespace
}  // namespace websockets
