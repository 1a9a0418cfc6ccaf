// SPDX-License-Identifier: MIT
// What a proxy answers: the same in pieces as in one; of what is behind its answer nothing is taken.
#include "dial/proxy_tunnel.h"

#include <memory>
#include <string>

#include "fuzz_support.h"

using namespace websockets;

namespace {

using Status = ProxyTunnel::Status;

struct Outcome {
  Status status = Status::kMore;
  std::size_t taken = 0;
  std::string sent;
  std::string message;
  bool operator==(const Outcome&) const = default;
};

Outcome talk(const Proxy& proxy, std::string_view host, std::span<const std::uint8_t> stream,
             const std::vector<std::size_t>& cuts) {
  const std::unique_ptr<ProxyTunnel> tunnel = ProxyTunnel::create(proxy, host, 443);
  Outcome outcome;
  std::size_t begin = 0;
  const auto feed = [&](std::size_t end) {
    if (outcome.status != Status::kMore || end <= begin) return;
    const std::vector<std::uint8_t> piece(stream.begin() + static_cast<std::ptrdiff_t>(begin),
                                          stream.begin() + static_cast<std::ptrdiff_t>(end));
    std::span<const std::uint8_t> input(piece);
    outcome.status = tunnel->consume(input);
    outcome.taken += piece.size() - input.size();
    if (outcome.status == Status::kMore) EXPECT_TRUE(input.empty());
    begin = end;
  };
  for (const std::size_t cut : cuts) feed(std::min(cut, stream.size()));
  feed(stream.size());
  if (outcome.status == Status::kMore) outcome.status = tunnel->end_of_input();
  outcome.sent = tunnel->output();
  outcome.message = tunnel->failure().message;
  EXPECT_EQ(outcome.message.empty(), outcome.status == Status::kDone);
  EXPECT_EQ(outcome.message.find("secret"), std::string::npos);
  // Of a refusal it does not matter how much was taken: in one piece its content may be in it, too.
  if (outcome.status == Status::kFailed) outcome.taken = 0;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  Proxy proxy;
  proxy.kind = (flags & 1U) != 0 ? Proxy::Kind::kHttp : Proxy::Kind::kSocks5h;
  proxy.host = "proxy";
  proxy.port = 1;
  if ((flags & 2U) != 0) proxy.userinfo = "ann:secret";
  const std::string_view host = (flags & 4U) != 0 ? "::1" : (flags & 8U) != 0 ? "192.0.2.1" : "example.org";
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  EXPECT_EQ(talk(proxy, host, input.rest(), cuts), talk(proxy, host, input.rest(), {}));
  return 0;
}
