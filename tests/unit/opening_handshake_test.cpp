// SPDX-License-Identifier: MIT
#include "client/opening_handshake.h"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "failing_allocations.h"
#include "http/http_date.h"
#include "http/request_parser.h"
#include "websocket/handshake.h"

namespace websockets {
namespace {

// RFC 6455 1.3.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
const std::time_t kNow = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", 0);

WebsocketUrl url_of(std::string_view text) { return *parse_websocket_url(text); }

std::string request(const OpeningOptions& options = {}, std::string_view url = "ws://example.org/chat") {
  EXPECT_EQ(check_opening_options(options).text, "");
  return opening_request(url_of(url), options, kKey);
}

OpeningVerdict verdict(const std::string& head, const OpeningOptions& options = {}) {
  return check_opening_answer(ReceivedHead(head + "\r\n"), url_of("ws://ann:secret@example.org:81/chat?token"), options,
                              kKey, kNow);
}

std::string failure(const std::string& head, const OpeningOptions& options = {}) {
  const OpeningVerdict found = verdict(head, options);
  if (!found.failure) return "";
  EXPECT_EQ(found.failure.phase, FailurePhase::kHttp);
  EXPECT_TRUE(found.failure.message.starts_with("example.org:81: ")) << found.failure.message;
  EXPECT_FALSE(found.compression);
  return std::string(name_of(found.failure.kind)) + found.failure.message.substr(14);
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  return text.replace(text.find(what), what.size(), with);
}

OpeningOptions with_header(const std::string& name, const std::string& value = "a") {
  OpeningOptions options;
  options.headers = {{name, value}};
  return options;
}

TEST(OpeningHandshakeTest, WritesTheSmallestRequest) {
  EXPECT_EQ(request(),
            "GET /chat HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
}

TEST(OpeningHandshakeTest, WritesAllThatIsAskedFor) {
  OpeningOptions options;
  options.protocols = {"chat", "superchat"};
  options.headers = {{"X-Token", "a b"}, {"X-Empty", ""}};
  options.cookies = {{"a", "1"}, {"b", "\"2\""}};
  options.origin = "https://example.com";
  options.user_agent = "bot/1";
  options.host = "example.net:80";
  options.compression = DeflateParameters{};
  EXPECT_EQ(
      request(options, "wss://ann:secret@[::1]:8443?b"),
      "GET /?b HTTP/1.1\r\nHost: example.net:80\r\nConnection: Upgrade\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n"
      "User-Agent: bot/1\r\nUpgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\n"
      "Cookie: a=1; b=\"2\"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
      "Sec-WebSocket-Protocol: chat, superchat\r\nX-Token: a b\r\nX-Empty: \r\n\r\n");
}

TEST(OpeningHandshakeTest, NamesTheHostWithThePortThatIsNoDefault) {
  EXPECT_NE(request({}, "ws://[fe80::1%25eth0]:81/").find("Host: [fe80::1]:81\r\n"), std::string::npos);
  EXPECT_NE(request({}, "wss://a:443/").find("Host: a\r\n"), std::string::npos);
  EXPECT_NE(request({}, "ws+unix:/run/a:/b").find("GET /b HTTP/1.1\r\nHost: localhost\r\n"), std::string::npos);
}

TEST(OpeningHandshakeTest, LeavesToHeadersOfTheUserWhatTheySay) {
  OpeningOptions options;
  options.headers = {{"authorization", "Bearer a"}, {"USER-AGENT", "b"}, {"origin", "null"}, {"cookie", "c=d"}};
  options.user_agent = "bot/1";
  options.origin = "https://example.com";
  const std::string text = request(options, "ws://ann:secret@a/");
  EXPECT_EQ(text.find("Basic"), std::string::npos);
  EXPECT_EQ(text.find("bot/1"), std::string::npos);
  EXPECT_EQ(text.find("example.com"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\nauthorization: Bearer a\r\nUSER-AGENT: b\r\norigin: null\r\ncookie: c=d\r\n\r\n"));
}

TEST(OpeningHandshakeTest, MakesAKeyThatAServerTakes) {
  std::array<std::uint8_t, 16> random{};
  const std::string_view sample = "the sample nonce";
  std::copy(sample.begin(), sample.end(), random.begin());
  EXPECT_EQ(opening_key(random), kKey);

  RequestParser parser(RequestLimits{});
  const std::string text = request();
  std::span<const std::uint8_t> input = as_bytes(text);
  ASSERT_EQ(parser.consume(input), RequestParser::Status::kHead);
  EXPECT_TRUE(input.empty());
  EXPECT_TRUE(asks_for_websocket(parser.request().header("Upgrade")));
  EXPECT_EQ(parser.request().header("Sec-WebSocket-Key"), kKey);
}

TEST(OpeningHandshakeTest, RefusesHeadersThatAreNotTheUsers) {
  for (const char* name : {"Upgrade", "connection", "Sec-WebSocket-Key", "sec-websocket-anything", "Host",
                           "Content-Length", "transfer-encoding", "", "a b", "a:", "a\r\nb"}) {
    EXPECT_TRUE(check_opening_options(with_header(name)).text.starts_with("headers: '")) << name;
  }
  EXPECT_EQ(check_opening_options(with_header("Upgrade")).text, "headers: 'Upgrade' is the handshake's own");
  for (const char* name : {"Upgrades", "X-Connection", "Sec-WebSocket", "Sec-Fetch-Mode", "Accept"}) {
    EXPECT_EQ(check_opening_options(with_header(name)).text, "") << name;
  }
}

TEST(OpeningHandshakeTest, RefusesWhatWouldEndALine) {
  for (const std::string& bad : {std::string("\r"), std::string("\n"), std::string("\0", 1), std::string("\x7f")}) {
    const std::string value = "secret" + bad + "b";
    const std::string error = check_opening_options(with_header("X", value)).text;
    EXPECT_EQ(error, "headers: 'X' has a control character in its value");
    OpeningOptions options;
    options.cookies = {{"a", value}};
    EXPECT_TRUE(check_opening_options(options).text.starts_with("cookies: 'a' "));
    options.cookies = {{"a" + bad, "b"}};
    EXPECT_TRUE(check_opening_options(options).text.starts_with("cookies: 'a?' "));
    options = {};
    options.origin = value;
    EXPECT_TRUE(check_opening_options(options).text.starts_with("origin: 'secret?b' "));
    options = {};
    options.user_agent = value;
    EXPECT_TRUE(check_opening_options(options).text.starts_with("user_agent: 'secret?b' "));
    options = {};
    options.host = value;
    EXPECT_TRUE(check_opening_options(options).text.starts_with("host: 'secret?b' "));
    options = {};
    options.protocols = {value};
    EXPECT_TRUE(check_opening_options(options).text.starts_with("protocols: 'secret?b' "));
  }
}

TEST(OpeningHandshakeTest, RefusesOtherOptions) {
  OpeningOptions options;
  for (const std::vector<std::string>& protocols :
       {std::vector<std::string>{""}, {"a", "b c"}, {"a,b"}, {"a", "b", "a"}, std::vector<std::string>(129, "a")}) {
    options.protocols = protocols;
    EXPECT_TRUE(check_opening_options(options).text.starts_with("protocols: ")) << protocols.back();
  }
  options.protocols = {"a", "A"};
  EXPECT_EQ(check_opening_options(options).text, "");
  for (const char* host : {":80", "a/b", "a b", "ann@b"}) {
    options.host = host;
    EXPECT_TRUE(check_opening_options(options).text.starts_with("host: ")) << host;
  }
  options = with_header("cookie", "a=b");
  options.cookies = {{"a", "b"}};
  EXPECT_TRUE(check_opening_options(options).text.starts_with("cookies: "));
  options = {};
  options.cookies = {{"a", "b; c=d"}};
  EXPECT_TRUE(check_opening_options(options).text.starts_with("cookies: 'a' "));
}

TEST(OpeningHandshakeTest, TakesASwitch) {
  EXPECT_EQ(failure(kSwitch), "");
  EXPECT_FALSE(verdict(kSwitch).compression);
  EXPECT_EQ(failure(replaced(replaced(kSwitch, "websocket", "WebSocket"), "Connection: Upgrade",
                             "connection: keep-alive\r\nConnection: upgrade")),
            "");
}

TEST(OpeningHandshakeTest, SaysWhatIsWrongWithASwitch) {
  const std::string upgrade = "handshake: the header Upgrade of the answer is not \"websocket\"";
  EXPECT_EQ(failure(replaced(kSwitch, "Upgrade: websocket\r\n", "")), upgrade);
  EXPECT_EQ(failure(replaced(kSwitch, "websocket", "h2c")), upgrade);
  EXPECT_EQ(failure(replaced(kSwitch, "websocket", "websocket, h2c")), upgrade);
  const std::string connection = "handshake: the header Connection of the answer does not list \"Upgrade\"";
  EXPECT_EQ(failure(replaced(kSwitch, "Connection: Upgrade\r\n", "")), connection);
  EXPECT_EQ(failure(replaced(kSwitch, "Connection: Upgrade", "Connection: close")), connection);
  EXPECT_EQ(failure(replaced(kSwitch, "Accept", "Accepted")),
            "handshake: the answer does not have one header Sec-WebSocket-Accept");
  EXPECT_EQ(failure(kSwitch + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "handshake: the answer does not have one header Sec-WebSocket-Accept");
  const std::string accept = "handshake: the header Sec-WebSocket-Accept of the answer does not belong to this request";
  EXPECT_EQ(failure(replaced(kSwitch, "s3pPL", "S3pPL")), accept);
  EXPECT_EQ(failure(replaced(kSwitch, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "")), accept);
  EXPECT_EQ(failure(replaced(kSwitch, "HTTP/1.1", "HTTP/1.0")), "handshake: the server switched protocols by HTTP/1.0");
  EXPECT_FALSE(verdict(replaced(kSwitch, "s3pPL", "S3pPL")).failure.is_final);
}

TEST(OpeningHandshakeTest, TakesASubprotocolThatWasOffered) {
  OpeningOptions options;
  options.protocols = {"chat", "superchat"};
  EXPECT_EQ(failure(kSwitch + "sec-websocket-protocol: superchat\r\n", options), "");
  const std::string other = "handshake: the server chose a subprotocol that was not offered";
  for (const char* name : {"Chat", "chat, superchat", "", "chats"}) {
    EXPECT_EQ(failure(kSwitch + "Sec-WebSocket-Protocol: " + name + "\r\n", options), other) << name;
  }
  EXPECT_EQ(failure(kSwitch + "Sec-WebSocket-Protocol: chat\r\n"), other);
  EXPECT_EQ(failure(kSwitch + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n", options),
            "handshake: the answer has several headers Sec-WebSocket-Protocol");
  EXPECT_EQ(failure(kSwitch, options), "handshake: the server chose none of the subprotocols");
  options.protocol_required = false;
  EXPECT_EQ(failure(kSwitch, options), "");
  EXPECT_EQ(failure(kSwitch + "Sec-WebSocket-Protocol: other\r\n", options), other);
}

TEST(OpeningHandshakeTest, TakesExtensionsThatWereOffered) {
  const std::string name = "Sec-WebSocket-Extensions: ";
  OpeningOptions options;
  EXPECT_EQ(failure(kSwitch + name + "\r\n", options), "");
  EXPECT_EQ(failure(kSwitch + name + "permessage-deflate\r\n", options),
            "handshake: the server chose an extension that was not offered");
  options.compression = DeflateParameters{.server_max_window_bits = 12};
  EXPECT_EQ(failure(kSwitch, options), "");
  EXPECT_FALSE(verdict(kSwitch, options).compression);
  const OpeningVerdict agreed = verdict(kSwitch + name + "permessage-deflate; server_max_window_bits=11\r\n", options);
  ASSERT_TRUE(agreed.compression);
  EXPECT_EQ(agreed.compression->server_max_window_bits, 11);
  const std::string other = "handshake: the server chose extensions, or parameters of them, that were not offered";
  EXPECT_EQ(failure(kSwitch + name + "permessage-deflate\r\n", options), other);
  EXPECT_EQ(failure(kSwitch + name + "permessage-deflate; server_max_window_bits=9\r\n" + name + "x\r\n", options),
            other);
  EXPECT_EQ(failure(kSwitch + name + "permessage-deflate;\r\n", options),
            "handshake: the header Sec-WebSocket-Extensions of the answer is malformed");
}

TEST(OpeningHandshakeTest, SaysByWhichStatusItWasRefused) {
  EXPECT_EQ(failure("HTTP/1.1 404 Whatever\r\n"), "http: the server answered 404 Not Found");
  EXPECT_EQ(failure("HTTP/1.1 299 \r\n"), "http: the server answered 299");
  for (const int status : {300, 301, 308, 400, 401, 403, 404, 407, 426, 451, 499}) {
    EXPECT_TRUE(verdict("HTTP/1.1 " + std::to_string(status) + " \r\n").failure.is_final) << status;
  }
  for (const int status : {200, 204, 408, 425, 429, 500, 502, 503, 599, 600}) {
    EXPECT_FALSE(verdict("HTTP/1.1 " + std::to_string(status) + " \r\n").failure.is_final) << status;
  }
}

TEST(OpeningHandshakeTest, SaysWhenToComeBack) {
  const auto seconds = [](const std::string& value) {
    return verdict("HTTP/1.1 503 \r\nRetry-After: " + value + "\r\n").retry_after;
  };
  EXPECT_EQ(seconds("120"), 120.0);
  EXPECT_EQ(seconds("0"), 0.0);
  EXPECT_EQ(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), 30.0);
  EXPECT_EQ(seconds("Sun, 06 Nov 1994 08:49:07 GMT"), 0.0);
  EXPECT_EQ(seconds(std::string(400, '9')), 1e15);
  for (const char* value : {"", "-1", "1.5", "soon", "1 2"}) EXPECT_FALSE(seconds(value)) << value;
  EXPECT_FALSE(verdict("HTTP/1.1 503 \r\n").retry_after);
}

TEST(OpeningHandshakeTest, SaysWhereToGoInstead) {
  for (const int status : {301, 302, 303, 307, 308}) {
    EXPECT_EQ(verdict("HTTP/1.1 " + std::to_string(status) + " \r\nLocation: /b\r\n").location, "/b") << status;
  }
  for (const int status : {200, 201, 300, 304, 305, 401, 503}) {
    EXPECT_EQ(verdict("HTTP/1.1 " + std::to_string(status) + " \r\nLocation: /b\r\n").location, "") << status;
  }
  EXPECT_EQ(verdict("HTTP/1.1 302 \r\n").location, "");
}

TEST(OpeningHandshakeTest, NamesTheSocketOfAUrlWithoutAHost) {
  const OpeningVerdict found =
      check_opening_answer(ReceivedHead("HTTP/1.1 404 \r\n\r\n"), url_of("ws+unix:/run/a:/"), {}, kKey, kNow);
  EXPECT_EQ(found.failure.message, "/run/a: the server answered 404 Not Found");
}

TEST(OpeningHandshakeTest, SurvivesEachAllocationThatFails) {
  OpeningOptions options;
  options.protocols = {"a-subprotocol-with-a-long-name", "another-subprotocol"};
  options.headers = {{"X-Header-With-A-Long-Name", "a value that is not short either"}};
  options.compression = DeflateParameters{};
  const WebsocketUrl url = url_of("ws://ann:a-long-password@host.example.org/a/path/of/some/length");
  const ReceivedHead head(kSwitch + "Sec-WebSocket-Protocol: a-subprotocol-with-a-long-name\r\n" +
                          "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n");
  bool has_failed = true;
  for (std::size_t nth = 1; has_failed; ++nth) {
    const FailingAllocation failing(nth);
    try {
      opening_request(url, options, kKey);
      const OpeningVerdict found = check_opening_answer(head, url, options, kKey, kNow);
      const FailingAllocation::Pause pause;
      EXPECT_FALSE(found.failure);
      EXPECT_TRUE(found.compression);
    } catch (const std::bad_alloc&) {
    }
    has_failed = failing.has_failed();
    ASSERT_LT(nth, 1000U);
  }
}

}  // namespace
}  // namespace websockets
