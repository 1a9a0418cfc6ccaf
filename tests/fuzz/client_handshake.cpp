// SPDX-License-Identifier: MIT
// What a client is given, and what it is answered: a URL that is taken makes one request that a server can read and no
// second one; an answer is granted only if it says so; where it redirects to is a URL again. The first line of the
// input is the URL, the second one a Location, the third one a list for no_proxy; the rest is the answer.
#include "client/opening_handshake.h"
#include "client/redirect.h"
#include "dial/proxy_choice.h"
#include "fuzz_support.h"
#include "http/request_parser.h"
#include "http/response_parser.h"
#include "websocket/handshake.h"

using namespace websockets;

namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::time_t kNow = 784'111'777;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void check_url(const WebsocketUrl& url) {
  EXPECT_FALSE(url.host.empty());
  EXPECT_NE(url.port, 0);
  EXPECT_TRUE(url.target.starts_with('/'));
  Result<WebsocketUrl> again = parse_websocket_url(url.text());
  ASSERT_TRUE(again) << url.text();
  EXPECT_EQ(again->text(), url.text());
  EXPECT_TRUE(is_same_origin(*again, url));
  EXPECT_TRUE(again->userinfo.empty());
}

void check_request(const WebsocketUrl& url, const OpeningOptions& options) {
  const std::string text = opening_request(url, options, kKey);
  RequestParser parser({.max_header_bytes = text.size()});
  std::span<const std::uint8_t> input = bytes_of(text);
  ASSERT_EQ(parser.consume(input), RequestParser::Status::kHead) << text << parser.error_text();
  EXPECT_TRUE(input.empty());
  EXPECT_EQ(parser.request().target(), url.target);
  EXPECT_EQ(parser.request().headers().size(), url.userinfo.empty() ? 7U : 8U);
}

void check_answer(std::string_view text, const WebsocketUrl& url, const OpeningOptions& options) {
  ResponseParser parser(ResponseParser::Asked::kWebsocket);
  std::span<const std::uint8_t> input = bytes_of(text);
  parser.consume(input);
  if (!parser.has_head()) return;
  const OpeningVerdict verdict = check_opening_answer(parser.head(), url, options, kKey, kNow);
  if (verdict.failure) {
    EXPECT_EQ(verdict.failure.kind == FailureKind::kHttp, parser.head().status() != 101);
    EXPECT_EQ(verdict.failure.message.find_first_of(std::string_view("\r\n\0", 3)), std::string::npos);
    if (verdict.retry_after) EXPECT_GE(*verdict.retry_after, 0);
    return;
  }
  EXPECT_EQ(parser.head().status(), 101);
  EXPECT_EQ(parser.head().header("Sec-WebSocket-Accept"), accept_key(kKey));
  const std::string_view protocol = parser.head().header("Sec-WebSocket-Protocol");
  EXPECT_TRUE(protocol == "chat" || protocol == "superchat");
  if (verdict.compression) EXPECT_LE(verdict.compression->server_max_window_bits, 12);
}

void check_redirect(const WebsocketUrl& from, std::string_view location) {
  const Redirects::Step step = Redirects(2).follow(from, location);
  if (step.failure) return;
  check_url(step.url);
  EXPECT_EQ(step.is_other_origin, !is_same_origin(from, step.url));
  EXPECT_TRUE(step.url.is_tls || !from.is_tls);
  EXPECT_EQ(step.url.unix_path, step.is_other_origin ? "" : from.unix_path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::string_view text = input.line();
  const std::string_view location = input.line();
  const std::string_view list = input.line();
  OpeningOptions options;
  options.protocols = {"chat", "superchat"};
  options.compression = DeflateParameters{.server_max_window_bits = 12};
  if (const Result<Proxy> proxy = parse_proxy(text)) EXPECT_NE((*proxy).port, 0);
  Result<WebsocketUrl> url = parse_websocket_url(text);
  if (!url) {
    EXPECT_FALSE(url.error().text.empty());
    url = parse_websocket_url("wss://example.org/a/b?c");
  }
  check_url(*url);
  check_request(*url, options);
  check_redirect(*url, location);
  is_in_no_proxy(list, url->host, url->port);
  check_answer(input.text(), *url, options);
  return 0;
}
