// SPDX-License-Identifier: MIT
#include "dial/proxy_tunnel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "failing_allocations.h"

namespace websockets {
namespace {

using namespace std::string_literals;
using Status = ProxyTunnel::Status;

constexpr std::string_view kBehind = "\x05\x00HTTP/1.1 behind";

Proxy proxy_of(std::string_view text) { return *parse_proxy(text); }

struct Talk {
  std::string sent;  // by this side, all of it
  std::string result;
};

void note(ProxyTunnel& tunnel, Status status, std::string_view rest, Talk& talk) {
  talk.sent += std::exchange(tunnel.output(), {});
  if (status == Status::kMore) return;
  talk.result = status == Status::kDone ? "done" : tunnel.failure().message;
  EXPECT_TRUE(status != Status::kDone || rest == kBehind) << rest;
  if (status == Status::kFailed) {
    EXPECT_EQ(tunnel.failure().kind, FailureKind::kProxy);
    EXPECT_EQ(tunnel.failure().phase, FailurePhase::kProxy);
  }
}

// Answers in two pieces; then the proxy sends no more.
Talk talk_in_pieces(const Proxy& proxy, std::string_view host, std::string_view answers, std::size_t cut) {
  const std::unique_ptr<ProxyTunnel> tunnel = ProxyTunnel::create(proxy, host, 443);
  Talk talk;
  talk.sent = std::exchange(tunnel->output(), {});
  const std::string all = std::string(answers).append(kBehind);
  const std::vector<std::uint8_t> first(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(cut));
  std::span<const std::uint8_t> input(first);
  Status status = tunnel->consume(input);
  EXPECT_TRUE(status != Status::kMore || input.empty());
  const std::string second = std::string(as_text(input)).append(all.substr(cut));
  input = as_bytes(second);
  status = tunnel->consume(input);
  note(*tunnel, status, as_text(input), talk);
  if (status == Status::kMore) note(*tunnel, tunnel->end_of_input(), {}, talk);
  EXPECT_EQ(tunnel->end_of_input(), talk.result == "done" ? Status::kDone : Status::kFailed);
  return talk;
}

// The same however it is split.
Talk talk_of(std::string_view proxy, std::string_view host, std::string_view answers) {
  const Talk talk = talk_in_pieces(proxy_of(proxy), host, answers, 0);
  for (std::size_t cut = 1; cut <= answers.size() + kBehind.size(); ++cut) {
    const Talk other = talk_in_pieces(proxy_of(proxy), host, answers, cut);
    EXPECT_EQ(other.sent, talk.sent) << "split at " << cut;
    EXPECT_EQ(other.result, talk.result) << "split at " << cut;
  }
  return talk;
}

TEST(ProxyTunnelTest, Connects) {
  const Talk talk =
      talk_of("http://proxy:3128", "example.org", "HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n");
  EXPECT_EQ(talk.sent, "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
  EXPECT_EQ(talk.result, "done");
  EXPECT_EQ(talk_of("https://proxy", "a", "HTTP/1.1 100 \r\n\r\nHTTP/1.0 299 \r\nContent-Length: 9\r\n\r\n").result,
            "done");
}

TEST(ProxyTunnelTest, ConnectsToAddressesInBrackets) {
  const std::string answer = "HTTP/1.1 200 \r\n\r\n";
  EXPECT_EQ(talk_of("http://proxy", "2001:db8::1", answer).sent,
            "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
  EXPECT_EQ(talk_of("http://proxy", "fe80::1%eth0", answer).sent,
            "CONNECT [fe80::1]:443 HTTP/1.1\r\nHost: [fe80::1]:443\r\n\r\n");
}

TEST(ProxyTunnelTest, LogsInAtAnHttpProxy) {
  const Talk talk = talk_of("http://ann:secret@proxy", "a", "HTTP/1.1 407 Whatever\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(talk.sent, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n");
  EXPECT_EQ(talk.result, "proxy proxy:80: it answered 407 Proxy Authentication Required");
}

TEST(ProxyTunnelTest, SaysWhatAnHttpProxyAnswered) {
  const auto result = [](std::string_view answer) { return talk_of("http://ann:secret@[::1]:81", "a", answer).result; };
  EXPECT_EQ(result("HTTP/1.1 403 \r\n\r\n"), "proxy [::1]:81: it answered 403 Forbidden");
  EXPECT_EQ(result("HTTP/1.1 302 \r\nLocation: /\r\n\r\n"), "proxy [::1]:81: it answered 302 Found");
  EXPECT_EQ(result("HTTP/1.1 101 \r\n\r\n"), "proxy [::1]:81: it answered 101 Switching Protocols");
  EXPECT_EQ(result("HTTP/1.1 599 \r\n\r\n"), "proxy [::1]:81: it answered 599");
  EXPECT_EQ(result("\x05\xff"), "proxy [::1]:81: This is no answer of an HTTP/1 server.");
  EXPECT_EQ(result("HTTP/1.1 200 A\r\nB: " + std::string(20'000, 'c')),
            "proxy [::1]:81: The head of the answer is too long.");
  EXPECT_EQ(result("HTTP/1.1 200 A\r\nB: "), "proxy [::1]:81: it closed the connection");
}

// The beginnings of a talk by SOCKS 5.
const std::string kHello = "\x05\x01\x00"s;
const std::string kHelloWithPassword = "\x05\x02\x00\x02"s;
const std::string kReply = "\x05\x00\x00\x01\x7f\x00\x00\x01\x01\xbb"s;

TEST(ProxyTunnelTest, ConnectsBySocksToANameThatTheProxyLooksUp) {
  const Talk talk = talk_of("socks5h://proxy", "example.org", "\x05\x00"s + kReply);
  EXPECT_EQ(talk.sent, kHello + "\x05\x01\x00\x03\x0b"s + "example.org" + "\x01\xbb");
  EXPECT_EQ(talk.result, "done");
}

TEST(ProxyTunnelTest, ConnectsBySocksToAddresses) {
  EXPECT_EQ(talk_of("socks5h://proxy", "192.0.2.1", "\x05\x00"s + kReply).sent,
            kHello + "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"s);
  const std::string address = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"s;
  EXPECT_EQ(talk_of("socks5h://proxy", "2001:db8::1", "\x05\x00"s + kReply).sent,
            kHello + "\x05\x01\x00\x04"s + address + "\x01\xbb");
  EXPECT_EQ(talk_of("socks5h://proxy", "::ffff:192.0.2.1", "\x05\x00"s + kReply).sent,
            kHello + "\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\x01\xbb"s);
}

TEST(ProxyTunnelTest, TakesRepliesOfEachType) {
  for (const std::string& address : {"\x01"
                                     "1234"s,
                                     "\x04"
                                     "0123456789abcdef"s,
                                     "\x03\x00"s,
                                     "\x03\x01"
                                     "a"s,
                                     "\x03\xff"s + std::string(255, 'a')}) {
    EXPECT_EQ(talk_of("socks5h://proxy", "a", "\x05\x00\x05\x00\x00"s + address + "PP").result, "done");
  }
}

TEST(ProxyTunnelTest, LogsInAtASocksProxy) {
  const std::string request =
      "\x05\x01\x00\x03\x01"
      "a\x01\xbb"s;
  const std::string login =
      "\x01\x03"
      "ann\x06secret"s;
  Talk talk = talk_of("socks5h://ann:secret@proxy", "a", "\x05\x02\x01\x00"s + kReply);
  EXPECT_EQ(talk.sent, kHelloWithPassword + login + request);
  EXPECT_EQ(talk.result, "done");
  talk = talk_of("socks5h://ann:secret@proxy", "a", "\x05\x02\x01\x01"s + kReply);
  EXPECT_EQ(talk.sent, kHelloWithPassword + login);
  EXPECT_EQ(talk.result, "proxy proxy:1080: it does not take the user's name and password");
  talk = talk_of("socks5h://ann:secret@proxy", "a", "\x05\x00"s + kReply);
  EXPECT_EQ(talk.sent, kHelloWithPassword + request);
  EXPECT_EQ(talk_of("socks5h://ann@proxy", "a", "\x05\x02\x01\x00"s + kReply).sent, kHelloWithPassword +
                                                                                        "\x01\x03"
                                                                                        "ann\x00"s +
                                                                                        request);
}

TEST(ProxyTunnelTest, SaysWhyASocksProxyDoesNotTalk) {
  const auto result = [](std::string_view answer) { return talk_of("socks5h://proxy", "a", answer).result; };
  EXPECT_EQ(result("\x04\x00"s), "proxy proxy:1080: it does not speak SOCKS 5");
  EXPECT_EQ(result("HTTP/1.1 400 \r\n"), "proxy proxy:1080: it does not speak SOCKS 5");
  EXPECT_EQ(result("\x05\xff"), "proxy proxy:1080: it wants a user's name and password");
  EXPECT_EQ(result("\x05\x02"), "proxy proxy:1080: it takes no way to log in that this side knows");
  EXPECT_EQ(result("\x05\x01"), "proxy proxy:1080: it takes no way to log in that this side knows");
  EXPECT_EQ(talk_of("socks5h://ann:secret@proxy", "a", "\x05\xff").result,
            "proxy proxy:1080: it takes no way to log in that this side knows");
  EXPECT_EQ(result("\x05\x00\x04\x00\x00\x01\x00"s), "proxy proxy:1080: it does not speak SOCKS 5");
  EXPECT_EQ(result("\x05\x00\x05\x00\x00\x02\x00"s), "proxy proxy:1080: it gave a reply that is none of SOCKS 5");
}

TEST(ProxyTunnelTest, HasASentenceForEachReply) {
  std::vector<std::string> seen;
  for (unsigned code = 1; code <= 9; ++code) {
    const std::string answer = "\x05\x00\x05"s + static_cast<char>(code) + "\x00\x01\x00\x00\x00\x00\x00\x00"s;
    const std::string result = talk_of("socks5h://proxy", "a", answer).result;
    EXPECT_TRUE(result.starts_with("proxy proxy:1080: ")) << result;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), result), 0) << result;
    seen.push_back(result);
  }
  EXPECT_EQ(seen[4], "proxy proxy:1080: the host refused the connection");
}

TEST(ProxyTunnelTest, FailsAtAReplyThatDoesNotEnd) {
  const std::unique_ptr<ProxyTunnel> tunnel = ProxyTunnel::create(proxy_of("socks5h://proxy"), "a", 1);
  std::span<const std::uint8_t> input = as_bytes("\x05");
  EXPECT_EQ(tunnel->consume(input), Status::kMore);
  EXPECT_EQ(tunnel->end_of_input(), Status::kFailed);
  EXPECT_EQ(tunnel->failure().message, "proxy proxy:1080: it closed the connection");
}

// Another attempt would send the same user's name.
TEST(ProxyTunnelTest, TellsWhatIsFinal) {
  const auto is_final = [](std::string_view proxy, std::string_view answer) {
    const std::unique_ptr<ProxyTunnel> tunnel = ProxyTunnel::create(proxy_of(proxy), "a", 1);
    std::span<const std::uint8_t> input = as_bytes(answer);
    EXPECT_EQ(tunnel->consume(input), Status::kFailed);
    return tunnel->failure().is_final;
  };
  EXPECT_TRUE(is_final("http://proxy", "HTTP/1.1 407 \r\n\r\n"));
  EXPECT_FALSE(is_final("http://proxy", "HTTP/1.1 403 \r\n\r\n"));
  EXPECT_FALSE(is_final("http://proxy", "HTTP/1.1 503 \r\n\r\n"));
  EXPECT_TRUE(is_final("socks5h://proxy", "\x05\xff"));
  EXPECT_TRUE(is_final("socks5h://ann@proxy", "\x05\x02\x01\x01"));
  EXPECT_FALSE(is_final("socks5h://proxy", "\x05\x00\x05\x04\x00\x01\x00"s));
}

TEST(ProxyTunnelTest, SendsNoLengthThatDoesNotFit) {
  const auto failure = [](const Proxy& proxy, const std::string& host) {
    const std::unique_ptr<ProxyTunnel> tunnel = ProxyTunnel::create(proxy, host, 1);
    std::span<const std::uint8_t> nothing;
    const Status status = tunnel->consume(nothing);
    EXPECT_EQ(tunnel->output().empty(), status == Status::kFailed);
    return tunnel->failure().message;
  };
  Proxy proxy = proxy_of("socks5h://proxy");
  EXPECT_EQ(failure(proxy, std::string(255, 'a')), "");
  EXPECT_EQ(failure(proxy, std::string(256, 'a')), "proxy proxy:1080: the host's name is longer than 255 bytes");
  proxy.userinfo = std::string(255, 'u') + ":" + std::string(255, 'p');
  EXPECT_EQ(failure(proxy, "a"), "");
  for (const std::string& userinfo : {std::string(256, 'u') + ":p", "u:" + std::string(256, 'p')}) {
    proxy.userinfo = userinfo;
    EXPECT_EQ(failure(proxy, "a"), "proxy proxy:1080: the user's name or the password is longer than 255 bytes");
  }
}

TEST(ProxyTunnelTest, SurvivesEachAllocationThatFails) {
  const std::string name(60, 'a');
  const Proxy http = proxy_of("http://a-user-with-a-long-name:a-long-password@proxy.example.org");
  const Proxy socks = proxy_of("socks5h://a-user-with-a-long-name:a-long-password@proxy.example.org");
  const std::string http_answers = "HTTP/1.1 200 Connection established\r\nVia: something of some length\r\n\r\n";
  const std::string socks_answers = "\x05\x02\x01\x00\x05\x00\x00\x03\x20"s + std::string(34, 'a');
  for (const bool is_http : {true, false}) {
    bool has_failed = true;
    for (std::size_t nth = 1; has_failed; ++nth) {
      const FailingAllocation failing(nth);
      try {
        const std::unique_ptr<ProxyTunnel> tunnel = ProxyTunnel::create(is_http ? http : socks, name, 443);
        std::span<const std::uint8_t> input = as_bytes(is_http ? http_answers : socks_answers);
        const Status status = tunnel->consume(input);
        const FailingAllocation::Pause pause;
        EXPECT_EQ(status, Status::kDone);
      } catch (const std::bad_alloc&) {
      }
      has_failed = failing.has_failed();
      ASSERT_LT(nth, 1000U);
    }
  }
}

}  // namespace
}  // namespace websockets
