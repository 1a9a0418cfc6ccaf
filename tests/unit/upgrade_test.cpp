// SPDX-License-Identifier: MIT
#include "server/upgrade.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "fake_responder.h"
#include "server/options.h"

namespace websockets {
namespace {

const std::string kGoodLines =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr std::string_view kGoodHead =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

class UpgradeTest : public testing::Test {
 protected:
  UpgradeTest() { serve({"chat", "echo"}, {}); }

  void serve(const std::vector<std::string>& names, const std::string& default_name) {
    options_.protocols = names;
    options_.default_protocol = default_name;
    subprotocols_ = std::vector<Subprotocol>(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) subprotocols_[i].name = names[i];
  }

  UpgradeVerdict verdict(const std::string& lines, const std::string& method = "GET") const {
    return check_upgrade(make_request(method, lines), options_, subprotocols_);
  }
  // The subprotocol for this offer, or what the client is told.
  std::string chosen(const std::string& offer) const {
    const UpgradeVerdict got = verdict(kGoodLines + (offer.empty() ? "" : "Sec-WebSocket-Protocol: " + offer + "\r\n"));
    if (got.subprotocol != nullptr) return got.subprotocol->name;
    EXPECT_EQ(got.refusal.reason, RefusalReason::kSubprotocol);
    EXPECT_EQ(got.refusal.status, 400);
    return std::string(got.refusal.text);
  }
  int status_of_origin(const std::string& lines) const {
    const UpgradeVerdict got = verdict(kGoodLines + "Sec-WebSocket-Protocol: chat\r\n" + lines);
    if (got.subprotocol != nullptr) return 101;
    EXPECT_EQ(got.refusal.reason, RefusalReason::kOrigin);
    return got.refusal.status;
  }

  ContextOptions options_;
  std::vector<Subprotocol> subprotocols_;
};

TEST_F(UpgradeTest, KnowsWhoAsks) {
  EXPECT_TRUE(asks_for_websocket(make_request("GET", "Upgrade: h2c\r\nUpgrade: WebSocket\r\n")));
  EXPECT_FALSE(asks_for_websocket(make_request("GET", "Upgrade: h2c\r\n")));
  EXPECT_FALSE(asks_for_websocket(make_request("GET", {})));
}

// --- The handshake ---

TEST_F(UpgradeTest, RefusesABadHandshake) {
  const UpgradeVerdict got = verdict("Upgrade: websocket\r\nConnection: Upgrade\r\n");
  EXPECT_EQ(got.subprotocol, nullptr);
  EXPECT_EQ(got.refusal.reason, RefusalReason::kHandshake);
  EXPECT_EQ(got.refusal.status, 400);
  EXPECT_TRUE(got.refusal.headers.empty());
  for (const char* again : {"Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"}) {
    EXPECT_EQ(verdict(kGoodLines + again).refusal.status, 400) << again;
  }
  EXPECT_EQ(verdict(kGoodLines + "Sec-WebSocket-Extensions: ;\r\n").refusal.status, 400);
}

TEST_F(UpgradeTest, SaysWhichVersionItSpeaks) {
  const UpgradeVerdict got = verdict(
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  EXPECT_EQ(got.refusal.reason, RefusalReason::kVersion);
  EXPECT_EQ(got.refusal.status, 426);
  ASSERT_EQ(got.refusal.headers.size(), 3U);
  EXPECT_EQ(got.refusal.headers[0].first, "Sec-WebSocket-Version");
  EXPECT_EQ(got.refusal.headers[0].second, "13");
}

TEST_F(UpgradeTest, SaysWhichMethodIsAllowed) {
  const UpgradeVerdict got = verdict(kGoodLines, "PUT");
  EXPECT_EQ(got.refusal.reason, RefusalReason::kHandshake);
  EXPECT_EQ(got.refusal.status, 405);
  ASSERT_EQ(got.refusal.headers.size(), 1U);
  EXPECT_EQ(got.refusal.headers[0].second, "GET");
}

// --- Origins ---

TEST_F(UpgradeTest, AnyOriginMayComeUnlessTheyAreChecked) {
  EXPECT_EQ(status_of_origin("Origin: https://evil.example\r\n"), 101);
}

TEST_F(UpgradeTest, OnlyTheOriginsOfTheOptionsMayCome) {
  options_.checks_origins = true;
  options_.origins = {"https://good.example"};
  EXPECT_EQ(status_of_origin({}), 101);
  EXPECT_EQ(status_of_origin("Origin: https://good.example\r\n"), 101);
  EXPECT_EQ(status_of_origin("Origin: https://evil.example\r\n"), 403);
  EXPECT_EQ(status_of_origin("Origin: https://good.example\r\nOrigin: https://good.example\r\n"), 403);
}

// --- Subprotocols ---

TEST_F(UpgradeTest, ChoosesTheFirstOfferThatIsServed) {
  EXPECT_EQ(chosen("echo"), "echo");
  EXPECT_EQ(chosen("other, echo, chat"), "echo");
  EXPECT_EQ(chosen("chat ,echo"), "chat");
}

TEST_F(UpgradeTest, SaysWhyItChoosesNone) {
  EXPECT_EQ(chosen({}), "This server has several subprotocols: name one in Sec-WebSocket-Protocol.");
  EXPECT_EQ(chosen("other"), "This server has none of the subprotocols in Sec-WebSocket-Protocol.");
  // However good what comes before it is.
  EXPECT_EQ(chosen("chat, @"), "The Sec-WebSocket-Protocol header is malformed.");
  EXPECT_EQ(chosen("chat, chat"), "The Sec-WebSocket-Protocol header is malformed.");
}

TEST_F(UpgradeTest, WhoOffersNoneGetsTheOnlyOneOrTheDefault) {
  serve({"chat"}, {});
  EXPECT_EQ(chosen({}), "chat");
  EXPECT_EQ(chosen("other"), "This server has none of the subprotocols in Sec-WebSocket-Protocol.");
  serve({"chat", "echo"}, "echo");
  EXPECT_EQ(chosen({}), "echo");
}

// --- What is agreed upon ---

TEST_F(UpgradeTest, AnswersWithTheKeyAndNothingThatWasNotAskedFor) {
  const UpgradeAgreement got = agree_to_upgrade(make_request("GET", kGoodLines), subprotocols_[0], nullptr, {});
  EXPECT_EQ(got.head, std::string(kGoodHead) + "\r\n");
  EXPECT_EQ(got.compression, nullptr);
}

TEST_F(UpgradeTest, AnswersAnOfferOfSubprotocols) {
  const Request request = make_request("GET", kGoodLines + "Sec-WebSocket-Protocol: x, echo\r\n");
  const UpgradeAgreement got = agree_to_upgrade(request, subprotocols_[1], nullptr, "X-Mine: 1\r\n");
  EXPECT_EQ(got.head, std::string(kGoodHead) + "Sec-WebSocket-Protocol: echo\r\nX-Mine: 1\r\n\r\n");
}

TEST_F(UpgradeTest, AgreesToCompression) {
  const std::string offer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
  const Request request = make_request("GET", kGoodLines + offer);
  EXPECT_EQ(agree_to_upgrade(request, subprotocols_[0], nullptr, {}).compression, nullptr);
  CompressionPool pool(CompressionOptions{});
  const UpgradeAgreement got = agree_to_upgrade(request, subprotocols_[0], &pool, "X-Mine: 1\r\n");
  EXPECT_NE(got.compression, nullptr);
  EXPECT_EQ(got.head, std::string(kGoodHead) +
                          "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
                          "X-Mine: 1\r\n\r\n");
  EXPECT_EQ(agree_to_upgrade(make_request("GET", kGoodLines), subprotocols_[0], &pool, {}).compression, nullptr);
}

}  // namespace
}  // namespace websockets
