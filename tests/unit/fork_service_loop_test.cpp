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
#include "server/context.h"
#include "server/handler.h"

namespace websockets {
namespace {

class QuietHandler final : public Handler {
 public:
  bool on_upgrade(Connection&, const HttpExchange&, const std::shared_ptr<PendingUpgrade>&) override { return false; }
  bool on_open(Connection&, const HttpExchange&) override { return true; }
  bool on_messages(Session&, MessageBatch&) override { return true; }
  bool on_chunk(Session&, MessageType, std::span<const std::uint8_t>, bool) override { return true; }
  bool on_pong(Session&, std::span<const std::uint8_t>) override { return true; }
  bool on_drained(Session&) override { return true; }
  void on_closed(Session&, CloseCode, std::string_view) override {}
  bool on_broadcast(Connection&, std::span<const std::uint8_t>) override { return true; }
  Session* session_of(Receiver&) override { return nullptr; }
  bool on_http(Connection&, const Request&) override { return true; }
  void on_refused(const Refusal&) override {}
  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_freed(Connection&) override {}
  void on_shut_down(CloseCode, std::string_view) override {}
  void on_destroy() override {}
  void on_abandon() override {}
  void on_add_fd(int) override {}
  void on_del_fd(int) override {}
  void release_payload(int) override {}
};

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
