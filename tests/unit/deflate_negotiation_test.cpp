// SPDX-License-Identifier: MIT
#include "websocket/deflate_negotiation.h"

#include <gtest/gtest.h>

#include <array>
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

// What the client agreed upon by an answer, in the form of an answer; "failed".
std::string agreed_by(std::string_view answer, const DeflateParameters& wanted = kAnything) {
  EXPECT_TRUE(is_extension_list(answer)) << answer;
  const std::optional<DeflateParameters> agreed = accept_deflate_answer(answer, wanted);
  if (!agreed) return "failed";
  std::string text;
  if (agreed->server_no_context_takeover) text += "server_no ";
  if (agreed->client_no_context_takeover) text += "client_no ";
  text.append(std::to_string(agreed->server_max_window_bits)).append(" ");
  return text.append(std::to_string(agreed->client_max_window_bits));
}

TEST(DeflateNegotiation, OffersWhatTheClientWants) {
  EXPECT_EQ(offer_deflate(kAnything), "permessage-deflate; client_max_window_bits");
  EXPECT_EQ(offer_deflate(kNoTakeover),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits");
  EXPECT_EQ(offer_deflate(kSmallWindows), "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11");
}

TEST(DeflateNegotiation, AgreesToAnyLegalAnswer) {
  EXPECT_EQ(agreed_by("permessage-deflate"), "15 15");
  EXPECT_EQ(agreed_by(", permessage-deflate,"), "15 15");
  EXPECT_EQ(agreed_by("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            "server_no client_no 15 15");
  EXPECT_EQ(agreed_by("permessage-deflate; server_max_window_bits=8; client_max_window_bits=9"), "8 9");
  EXPECT_EQ(agreed_by("permessage-deflate; server_max_window_bits=\"12\"; client_max_window_bits=15"), "12 15");
}

// RFC 7692 7.1.1.1 and 7.1.2.1 for the server's side, 7.1.1.2 and 7.1.2.2 for the client's.
TEST(DeflateNegotiation, HoldsAnAnswerAgainstTheOffer) {
  EXPECT_EQ(agreed_by("permessage-deflate; server_no_context_takeover", kNoTakeover), "server_no client_no 15 15");
  EXPECT_EQ(agreed_by("permessage-deflate; server_max_window_bits=10", kSmallWindows), "10 11");
  EXPECT_EQ(agreed_by("permessage-deflate; server_max_window_bits=9; client_max_window_bits=11", kSmallWindows),
            "9 11");
  EXPECT_EQ(agreed_by("permessage-deflate; server_max_window_bits=11", kSmallWindows), "failed");
  EXPECT_EQ(agreed_by("permessage-deflate", kSmallWindows), "failed");
  EXPECT_EQ(agreed_by("permessage-deflate; server_max_window_bits=10; client_max_window_bits=12", kSmallWindows),
            "failed");
}

// RFC 7692 5.1: the client fails by what it does not support, and it supports a window that is kept.
TEST(DeflateNegotiation, LetsTheServerKeepItsWindow) {
  EXPECT_EQ(agreed_by("permessage-deflate; client_no_context_takeover", kNoTakeover), "client_no 15 15");
  EXPECT_EQ(agreed_by("permessage-deflate", kNoTakeover), "client_no 15 15");
}

TEST(DeflateNegotiation, FailsByAnAnswerThatIsNone) {
  for (const char* answer :
       {"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=16", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; other", "x-webkit-deflate-frame",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate, permessage-deflate", "permessage-deflate, other", "other, permessage-deflate", ","}) {
    EXPECT_EQ(agreed_by(answer), "failed") << answer;
  }
}

TEST(DeflateNegotiation, ClientAndServerAgree) {
  const auto all = std::to_array<DeflateParameters>({kAnything, kNoTakeover, kSmallWindows});
  for (const DeflateParameters& client : all) {
    for (const DeflateParameters& server : all) {
      const std::optional<DeflateAgreement> agreement = negotiate_deflate(offer_deflate(client), server);
      ASSERT_TRUE(agreement);
      EXPECT_NE(agreed_by(agreement->answer, client), "failed") << agreement->answer;
    }
  }
}

TEST(DeflateNegotiation, Mirrors) {
  const DeflateParameters other = mirrored({.server_no_context_takeover = true, .client_max_window_bits = 9});
  EXPECT_FALSE(other.server_no_context_takeover);
  EXPECT_TRUE(other.client_no_context_takeover);
  EXPECT_EQ(other.server_max_window_bits, 9);
  EXPECT_EQ(other.client_max_window_bits, 15);
}

}  // namespace
}  // namespace websockets
