// SPDX-License-Identifier: MIT
#include "net/proxy_header.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace websockets {
namespace {

using Parser = ProxyHeaderParser;
using Status = Parser::Status;
using Source = Parser::Source;

constexpr std::string_view kRest = "GET / HTTP/1.1\r\n";

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string binary(unsigned command, unsigned family, const std::string& body) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(body.size() / 256);
  header += static_cast<char>(body.size() % 256);
  return header + body;
}

const std::string kTcp4Body("\xC0\x00\x02\x07\x0A\x00\x00\x01\x1F\x90\x00\x50", 12);
const std::string kTcp6Body =
    std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16) + std::string(16, '\1') + std::string("\0\1\0\2", 4);

// Feeds the header in two pieces, split anywhere, and byte by byte, with something behind it.
template <typename Check>
void at_every_split(const std::string& header, Check check) {
  const std::string stream = header + std::string(kRest);
  for (std::size_t split = 0; split <= header.size(); ++split) {
    Parser parser;
    auto first = bytes_of(std::string_view(stream).substr(0, split));
    const Status early = parser.consume(first);
    ASSERT_TRUE(first.empty()) << split;
    ASSERT_EQ(early, split == header.size() ? Status::kDone : Status::kIncomplete) << split;
    auto second = bytes_of(std::string_view(stream).substr(split));
    ASSERT_EQ(parser.consume(second), Status::kDone) << split;
    ASSERT_EQ(second.size(), kRest.size()) << split;
    check(parser);
  }
  Parser parser;
  for (const char& byte : header) {
    auto one = bytes_of({&byte, 1});
    const Status status = parser.consume(one);
    ASSERT_TRUE(one.empty());
    ASSERT_EQ(status, &byte == &header.back() ? Status::kDone : Status::kIncomplete);
  }
  check(parser);
}

void expect_client(const std::string& header, const std::string& address) {
  at_every_split(header, [&](const Parser& parser) {
    ASSERT_EQ(parser.source(), Source::kAddress) << header;
    ASSERT_EQ(parser.client().text(), address) << header;
  });
}

void expect_source(const std::string& header, Source source) {
  at_every_split(header, [&](const Parser& parser) { ASSERT_EQ(parser.source(), source) << header; });
}

// Wherever it is split.
void expect_error(const std::string& header) {
  for (std::size_t split = 0; split <= header.size(); ++split) {
    Parser parser;
    auto first = bytes_of(std::string_view(header).substr(0, split));
    parser.consume(first);
    auto second = bytes_of(std::string_view(header).substr(split));
    ASSERT_EQ(parser.consume(second), Status::kError) << header << " at " << split;
  }
}

TEST(ProxyHeaderTest, ReadsLines) {
  expect_client("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", "192.0.2.7");
  expect_client("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255");
  expect_client("PROXY TCP6 2001:db8::7 ::1 0 1\r\n", "2001:db8::7");
  expect_client("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 1\r\n", "192.0.2.7");
}

TEST(ProxyHeaderTest, ReadsLinesWithoutAnAddress) {
  expect_source("PROXY UNKNOWN\r\n", Source::kProxy);
  expect_source("PROXY UNKNOWN anything at all\r\n", Source::kProxy);
  const std::string longest = "PROXY UNKNOWN " + std::string(107 - 16, 'f') + "\r\n";
  expect_source(longest, Source::kProxy);
  expect_error("PROXY UNKNOWN " + std::string(107 - 15, 'f') + "\r\n");
}

TEST(ProxyHeaderTest, RefusesOtherLines) {
  for (const char* line : {
           "GET / HTTP/1.1\r\n",
           "PROXY\r\n",
           "PROXY \r\n",
           "PROXY  TCP4 192.0.2.7 10.0.0.1 1 1\r\n",
           "PROXY TCP5 192.0.2.7 10.0.0.1 1 1\r\n",
           "PROXY tcp4 192.0.2.7 10.0.0.1 1 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 1 1 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 1 1 \r\n",
           "PROXY TCP4 192.0.2.7  10.0.0.1 1 1\r\n",
           "PROXY TCP4 192.0.2 10.0.0.1 1 1\r\n",
           "PROXY TCP4 192.0.2.256 10.0.0.1 1 1\r\n",
           "PROXY TCP4 192.0.2.7 x 1 1\r\n",
           "PROXY TCP4 2001:db8::7 ::1 1 1\r\n",
           "PROXY TCP6 192.0.2.7 10.0.0.1 1 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 65536 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 01 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 -1 1\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 1 100000\r\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 1 1\n",
           "PROXY TCP4 192.0.2.7 10.0.0.1 1 x\r\n",
           "\n",
           "\r\r",
           "proxy TCP4 192.0.2.7 10.0.0.1 1 1\r\n",
       }) {
    expect_error(line);
  }
  expect_error("PROXY " + std::string(200, 'x'));
}

TEST(ProxyHeaderTest, ReadsBinaryAddresses) {
  expect_client(binary(0x21, 0x11, kTcp4Body), "192.0.2.7");
  expect_client(binary(0x21, 0x21, kTcp6Body), "2001:db8::7");
}

TEST(ProxyHeaderTest, SkipsExtensions) {
  for (const std::size_t size : {1U, 3U, 23U, 24U, 25U, 36U, 300U}) {
    expect_client(binary(0x21, 0x11, kTcp4Body + std::string(size, '\4')), "192.0.2.7");
    expect_client(binary(0x21, 0x21, kTcp6Body + std::string(size, '\r')), "2001:db8::7");
    expect_source(binary(0x20, 0x00, std::string(size, '\4')), Source::kProxy);
  }
  Parser parser;
  const std::string header = binary(0x21, 0x11, kTcp4Body + std::string(65535 - 12, '\n')) + std::string(kRest);
  auto input = bytes_of(header);
  EXPECT_EQ(parser.consume(input), Status::kDone);
  EXPECT_EQ(input.size(), kRest.size());
}

TEST(ProxyHeaderTest, ReadsBinaryHeadersWithoutAnAddress) {
  expect_source(binary(0x20, 0x00, ""), Source::kProxy);
  expect_source(binary(0x20, 0x11, kTcp4Body), Source::kProxy);
  expect_source(binary(0x20, 0xFF, "x"), Source::kProxy);
  expect_source(binary(0x21, 0x00, ""), Source::kProxy);
  expect_source(binary(0x21, 0x31, std::string(216, 'x')), Source::kUnixSocket);
  expect_source(binary(0x21, 0x31, std::string(220, '\0')), Source::kUnixSocket);
}

TEST(ProxyHeaderTest, RefusesOtherBinaryHeaders) {
  const std::string good = binary(0x21, 0x11, kTcp4Body);
  for (std::size_t place = 0; place < 12; ++place) {
    std::string wrong = good;
    wrong[place] = static_cast<char>(wrong[place] ^ 1);
    expect_error(wrong);
  }
  for (const unsigned command : {0x00U, 0x01U, 0x11U, 0x22U, 0x2FU, 0x31U, 0xFFU}) {
    expect_error(binary(command, 0x11, kTcp4Body));
  }
  for (const unsigned family : {0x01U, 0x10U, 0x12U, 0x13U, 0x20U, 0x22U, 0x30U, 0x32U, 0x41U, 0xFFU}) {
    expect_error(binary(0x21, family, std::string(300, 'x')));
  }
  expect_error(binary(0x21, 0x11, kTcp4Body.substr(1)));
  expect_error(binary(0x21, 0x21, kTcp6Body.substr(1)));
  expect_error(binary(0x21, 0x31, std::string(215, 'x')));
  expect_error(binary(0x21, 0x11, ""));
}

}  // namespace
}  // namespace websockets
