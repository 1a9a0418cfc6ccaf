// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace websockets {
namespace {

UniqueFd listener_on(const char* where) {
  Result<std::vector<Listener>> listeners = listen_at(where, {});
  EXPECT_TRUE(listeners) << listeners.error().text;
  return listeners ? std::move(listeners->front().fd) : UniqueFd();
}

UniqueFd connected_to(const UniqueFd& listener) {
  SocketAddress address = local_address(listener.get());
  UniqueFd client(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), address.get(), address.size), 0);
  return client;
}

TEST(Listener, AcceptsSocketsThatNeitherBlockNorWaitNorAreInherited) {
  const UniqueFd listener = listener_on("127.0.0.1:0");
  const UniqueFd client = connected_to(listener);
  const Accepted accepted = accept_from(listener.get());
  ASSERT_EQ(accepted.status, AcceptStatus::kAccepted);
  EXPECT_NE(::fcntl(accepted.fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(accepted.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  ASSERT_EQ(::getsockopt(accepted.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
  EXPECT_EQ(PeerAddress(accepted.peer).text(), "127.0.0.1");
}

TEST(Listener, SaysThatNobodyIsWaiting) {
  const UniqueFd listener = listener_on("127.0.0.1:0");
  EXPECT_EQ(accept_from(listener.get()).status, AcceptStatus::kNone);
}

TEST(Listener, TellsItsAddress) {
  const SocketAddress address = local_address(listener_on("127.0.0.1:0").get());
  EXPECT_NE(address.port(), 0);
  EXPECT_EQ(address.text(), "127.0.0.1:" + std::to_string(address.port()));
}

TEST(Listener, SaysWhereAndWhyNot) {
  const UniqueFd first = listener_on("127.0.0.1:0");
  Result<Listener> second = listen_on(local_address(first.get()), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_NE(second.error().text.find(local_address(first.get()).text()), std::string::npos);
}

}  // namespace
}  // namespace websockets
