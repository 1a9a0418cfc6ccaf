// SPDX-License-Identifier: MIT
#include "cluster/fork_service_loop.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "quiet_handler.h"
#include "server/context.h"

namespace websockets {
namespace {

// What a server says to a request that is malformed; empty: there is none.
std::string answer_of(std::uint16_t port) {
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";
  ::send(client.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
  std::string answer;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t count = ::recv(client.get(), piece.data(), piece.size(), 0);
    if (count <= 0) return answer;
    answer.append(piece.data(), static_cast<std::size_t>(count));
  }
}

TEST(ForkServiceLoop, LetsAnotherProcessServeAContextUntilItIsDestroyed) {
  QuietHandler handler;
  ContextOptions options;
  options.protocols = {"chat"};
  options.listen = {"127.0.0.1:0"};
  Result<std::unique_ptr<Context>> context = Context::create(options, handler);
  ASSERT_TRUE(context) << context.error().text;
  const std::string where = (*context)->address(0).text();
  const auto port = static_cast<std::uint16_t>(std::stoi(where.substr(where.rfind(':') + 1)));
  std::array<int, 2> report{};
  ASSERT_EQ(::pipe(report.data()), 0);
  const UniqueFd reader(report[0]);
  UniqueFd writer(report[1]);

  const pid_t parent = ::getpid();
  const Error error = fork_service_loop(**context, [&] {
    if (::getpid() == parent || ::write(writer.get(), "!", 1) != 1) ::_exit(1);
  });
  ASSERT_FALSE(error) << error.text;
  ASSERT_EQ(::getpid(), parent);
  writer.reset();
  char said = 0;
  EXPECT_EQ(::read(reader.get(), &said, 1), 1);

  EXPECT_TRUE((*context)->is_served_elsewhere());
  EXPECT_EQ(answer_of(port).substr(0, 12), "HTTP/1.1 400");
  Hub& hub = (*context)->hub();
  EXPECT_EQ(hub.broadcast(hub.subprotocols()[0], as_bytes("1")), DeliveryStatus::kForwarded);
  EXPECT_EQ(hub.publish("news", Opcode::kText, as_bytes("1")).status, DeliveryStatus::kForwarded);
  (*context)->service(0);  // does nothing

  (*context)->destroy();
  EXPECT_FALSE((*context)->is_served_elsewhere());
  EXPECT_EQ(::read(reader.get(), &said, 1), 0);  // nobody has the other end
}

}  // namespace
}  // namespace websockets
