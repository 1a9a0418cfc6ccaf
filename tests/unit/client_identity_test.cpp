// SPDX-License-Identifier: MIT
#include "server/client_identity.h"

#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_parser.h"

namespace websockets {
namespace {

using Status = ProxyHeaderParser::Status;

constexpr std::string_view kProxy = "192.0.2.1";
constexpr std::string_view kOtherProxy = "192.0.2.2";
constexpr std::string_view kClient = "198.51.100.7";

PeerAddress peer(std::string_view text) { return *PeerAddress::parse(text); }

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Request request_with(const std::string& lines) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
  RequestParser parser(RequestLimits{});
  std::span<const std::uint8_t> input = bytes_of(text);
  EXPECT_EQ(parser.consume(input), RequestParser::Status::kHead);
  return parser.request();
}

class ClientIdentityTest : public testing::Test {
 protected:
  ClientIdentityTest() {
    EXPECT_TRUE(trusted_.add("192.0.2.0/24"));
    EXPECT_TRUE(trusted_.add("unix"));
  }

  // Who has sent a request with these lines, "!" in front when it is secure; "contradiction".
  std::string found(const std::string& lines, bool is_tls = false) const {
    const std::optional<ClientIdentity::Client> client = identity_.find(request_with(lines), {peer(kProxy), is_tls});
    if (!client) return "contradiction";
    return (client->is_secure ? "!" : "") + client->address.text();
  }

  // What the whole of this header says; "proxy": nothing.
  std::string header_client(std::string_view header) {
    identity_.begin(peer(kProxy), true);
    EXPECT_TRUE(identity_.awaits_header());
    std::span<const std::uint8_t> input = bytes_of(header);
    EXPECT_EQ(identity_.read_header(input), Status::kDone);
    EXPECT_TRUE(input.empty());
    const std::optional<PeerAddress> client = identity_.end_header();
    EXPECT_FALSE(identity_.awaits_header());
    return client ? client->text() : "proxy";
  }

  AddressList trusted_;
  ClientIdentity identity_{trusted_};
};

const std::string kForwardedFor = "X-Forwarded-For: " + std::string(kClient) + "\r\n";

// --- Headers ---

TEST_F(ClientIdentityTest, WhoIsNotTrustedSpeaksForItself) {
  identity_.begin(peer(kClient), true);
  EXPECT_FALSE(identity_.awaits_header());
  EXPECT_EQ(found(kForwardedFor + "X-Forwarded-Proto: https\r\n"), kProxy);
  EXPECT_EQ(found(kForwardedFor, true), "!192.0.2.1");
}

TEST_F(ClientIdentityTest, ATrustedProxyTellsItsClient) {
  identity_.begin(peer(kProxy), false);
  EXPECT_FALSE(identity_.awaits_header());
  EXPECT_EQ(found({}), kProxy);
  EXPECT_EQ(found(kForwardedFor), kClient);
  EXPECT_EQ(found(kForwardedFor, true), "!198.51.100.7");
  EXPECT_EQ(found(kForwardedFor + "X-Forwarded-Proto: https\r\n"), "!198.51.100.7");
  EXPECT_EQ(found(kForwardedFor + "X-Forwarded-Proto: http\r\n", true), kClient);
  EXPECT_EQ(found("Forwarded: for=198.51.100.7;proto=wss\r\n"), "!198.51.100.7");
  EXPECT_EQ(found("Forwarded: for=unknown\r\n"), kProxy);
}

TEST_F(ClientIdentityTest, TheNearestAddressThatIsNotTrustedIsTheClient) {
  identity_.begin(peer(kProxy), false);
  EXPECT_EQ(found("X-Forwarded-For: 203.0.113.1, 198.51.100.7, 192.0.2.9\r\n"), kClient);
  EXPECT_EQ(found("X-Forwarded-For: 198.51.100.7, nonsense, 192.0.2.9\r\n"), "192.0.2.9");
  EXPECT_EQ(found("X-Forwarded-For: 192.0.2.8, 192.0.2.9\r\n"), "192.0.2.8");
}

TEST_F(ClientIdentityTest, BothKindsOfHeadersHaveToAgree) {
  identity_.begin(peer(kProxy), false);
  EXPECT_EQ(found(kForwardedFor + "Forwarded: for=198.51.100.7\r\n"), kClient);
  EXPECT_EQ(found(kForwardedFor + "Forwarded: for=198.51.100.8\r\n"), "contradiction");
  EXPECT_EQ(found(kForwardedFor + "Forwarded: for=nonsense:\r\n"), kClient);
  EXPECT_EQ(found(kForwardedFor + "Forwarded: for=unknown\r\n"), "contradiction");
  EXPECT_EQ(found("X-Forwarded-For: nonsense\r\nForwarded: for=198.51.100.7\r\n"), kClient);
  EXPECT_EQ(found("X-Forwarded-For: nonsense\r\nForwarded: for=nonsense:, for=192.0.2.9\r\n"), kProxy);
  EXPECT_EQ(found(kForwardedFor + "X-Forwarded-Proto: https\r\nForwarded: for=198.51.100.7;proto=http\r\n"),
            "contradiction");
}

// --- The PROXY protocol ---

TEST_F(ClientIdentityTest, AHeaderIsTakenInPieces) {
  identity_.begin(peer(kProxy), true);
  ASSERT_TRUE(identity_.awaits_header());
  std::span<const std::uint8_t> input = bytes_of("PROXY TCP4 198.51.");
  EXPECT_EQ(identity_.read_header(input), Status::kIncomplete);
  EXPECT_TRUE(input.empty());
  input = bytes_of("100.7 192.0.2.1 1 80\r\nGET /");
  EXPECT_EQ(identity_.read_header(input), Status::kDone);
  EXPECT_EQ(input.size(), 5U);
  EXPECT_EQ(identity_.end_header(), peer(kClient));
}

TEST_F(ClientIdentityTest, WhatIsNoHeaderIsAnError) {
  identity_.begin(peer(kProxy), true);
  std::span<const std::uint8_t> input = bytes_of("GET / HTTP/1.1\r\n");
  EXPECT_EQ(identity_.read_header(input), Status::kError);
}

TEST_F(ClientIdentityTest, WhoIsBehindTheHeaderIsNotTrusted) {
  EXPECT_EQ(header_client("PROXY TCP4 198.51.100.7 192.0.2.1 1 80\r\n"), kClient);
  EXPECT_EQ(found("X-Forwarded-For: 203.0.113.1\r\n"), kProxy);  // as it was given: it says no more of itself
}

TEST_F(ClientIdentityTest, AnotherTrustedProxyMayBeBehindTheHeader) {
  EXPECT_EQ(header_client("PROXY TCP4 192.0.2.2 192.0.2.1 1 80\r\n"), kOtherProxy);
  EXPECT_EQ(found(kForwardedFor), kClient);
  EXPECT_EQ(found({}), kOtherProxy);
}

TEST_F(ClientIdentityTest, AProxyThatSpeaksForItselfIsNoLongerTrusted) {
  EXPECT_EQ(header_client("PROXY UNKNOWN\r\n"), "proxy");
  EXPECT_EQ(found(kForwardedFor), kProxy);
}

// A unix socket's other end has no address, which the list calls "unix".
TEST_F(ClientIdentityTest, WhoComesFromAUnixSocketIsNobodyThatIsTrusted) {
  const std::string header = std::string("\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xD8", 16) + std::string(216, 'p');
  EXPECT_EQ(header_client(header), "");
  EXPECT_EQ(found(kForwardedFor), kProxy);
}

}  // namespace
}  // namespace websockets
