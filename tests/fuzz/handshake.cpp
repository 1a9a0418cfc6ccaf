// SPDX-License-Identifier: MIT
// What the opening handshake looks at. Each line of the input is one header's value.
#include "websocket/handshake.h"

#include "fuzz_support.h"
#include "websocket/deflate_negotiation.h"
#include "websocket/message_compression.h"

using namespace websockets;

namespace {

void check_offers(std::string_view list) {
  SubprotocolOffers offers(list);
  std::vector<std::string_view> seen;
  for (std::string_view name = offers.next(); !name.empty(); name = offers.next()) {
    EXPECT_TRUE(is_token(name));
    EXPECT_TRUE(list_has_token(list, name));
    const bool is_repeated = std::find(seen.begin(), seen.end(), name) != seen.end();
    if (is_repeated) EXPECT_TRUE(offers.malformed());
    seen.push_back(name);
    ASSERT_LE(seen.size(), SubprotocolOffers::kMaxOffers);
  }
  EXPECT_TRUE(offers.next().empty());
}

void check_extensions(std::string_view list) {
  if (!is_extension_list(list)) return;
  const DeflateParameters wanted{.server_max_window_bits = 12, .client_max_window_bits = 11};
  const std::optional<DeflateAgreement> agreement = negotiate_deflate(list, wanted);
  CompressionPool pool({.wanted = wanted});
  std::string answer;
  EXPECT_EQ(pool.negotiate(list, answer) != nullptr, agreement.has_value());
  EXPECT_EQ(answer, agreement ? agreement->answer : "");
  if (!agreement) return;
  EXPECT_TRUE(is_extension_list(agreement->answer));
  EXPECT_TRUE(negotiate_deflate(agreement->answer, wanted));
  EXPECT_LE(agreement->parameters.server_max_window_bits, 12);
  EXPECT_TRUE(agreement->parameters.client_no_context_takeover || agreement->parameters.client_max_window_bits <= 11);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  HandshakeRequest request;
  request.method = input.line();
  request.http_minor_version = static_cast<int>(flags & 1U);
  request.has_host = (flags & 2U) == 0;
  request.has_key = (flags & 4U) == 0;
  request.has_version = (flags & 8U) == 0;
  request.repeated_header = (flags & 32U) != 0;
  request.host = input.line();
  request.upgrade = input.line();
  request.connection = input.line();
  request.key = input.line();
  request.version = input.line();
  request.extensions = input.line();
  const HandshakeVerdict verdict = check_handshake(request);
  EXPECT_TRUE(verdict.status == 101 || verdict.status == 400 || verdict.status == 405 || verdict.status == 426);
  EXPECT_EQ(verdict.text.empty(), verdict.status == 101);
  if (verdict.status == 101) {
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.version, "13");
    EXPECT_EQ(request.key.size(), 24U);
    EXPECT_TRUE(list_has_token(request.connection, "upgrade"));
    EXPECT_FALSE(request.repeated_header);
    EXPECT_EQ(accept_key(request.key).size(), 28U);
  }
  check_offers(input.text());
  check_extensions(request.extensions);
  return 0;
}
