// SPDX-License-Identifier: MIT
#include "net/stream_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "dial_servers.h"
#include "net/listener.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

SocketAddress loopback() { return *literal_address("127.0.0.1", 0); }

// Until it is no longer pending.
ConnectStatus finish(Connecting& connecting) {
  while (connecting.status == ConnectStatus::kPending) {
    pollfd poll{connecting.fd.get(), POLLOUT, 0};
    ::poll(&poll, 1, -1);
    connecting.status = finish_connecting(connecting.fd.get(), connecting.error);
  }
  return connecting.status;
}

TEST(StreamSocket, DoesNotBlockAndIsNotInherited) {
  const UniqueFd fd = open_stream_socket(AF_INET);
  ASSERT_TRUE(fd);
  EXPECT_NE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  const UniqueFd other(::socket(AF_UNIX, SOCK_STREAM, 0));
  make_non_blocking(other.get());
  EXPECT_NE(::fcntl(other.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(other.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_FALSE(open_stream_socket(-1));
}

TEST(StreamSocket, ComesInPairs) {
  Result<std::array<UniqueFd, 2>> pair = make_socket_pair("none");
  ASSERT_TRUE(pair);
  for (const UniqueFd& end : *pair) {
    EXPECT_EQ(::fcntl(end.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ(::fcntl(end.get(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  }
  char byte = 0;
  EXPECT_EQ(::send((*pair)[0].get(), "x", 1, 0), 1);
  EXPECT_EQ(::recv((*pair)[1].get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
}

TEST(StreamSocket, Connects) {
  const auto listener = listen_on(loopback(), {});
  const SocketAddress address = local_address((*listener).fd.get());
  Connecting connecting = begin_connecting(address, nullptr);
  ASSERT_EQ(finish(connecting), ConnectStatus::kConnected);
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  EXPECT_EQ(::getsockopt(connecting.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
}

TEST(StreamSocket, ComesFromTheAddressThatIsAskedFor) {
  const auto listener = listen_on(loopback(), {});
  const SocketAddress source = *literal_address("127.0.0.2", 0);
  Connecting connecting = begin_connecting(local_address((*listener).fd.get()), &source);
  ASSERT_EQ(finish(connecting), ConnectStatus::kConnected);
  EXPECT_EQ(PeerAddress(local_address(connecting.fd.get())).text(), "127.0.0.2");
}

TEST(StreamSocket, AnAddressThatIsNotOfThisMachineCannotBeItsSource) {
  const SocketAddress source = *literal_address("192.0.2.1", 0);
  const Connecting connecting = begin_connecting(loopback(), &source);
  EXPECT_EQ(connecting.status, ConnectStatus::kFailed);
  EXPECT_EQ(connecting.error, EADDRNOTAVAIL);
}

TEST(StreamSocket, IsRefusedWhereNobodyListens) {
  const UnusedAddress unused("127.0.0.1");
  Connecting connecting = begin_connecting(unused.address(), nullptr);
  EXPECT_EQ(finish(connecting), ConnectStatus::kFailed);
  EXPECT_EQ(connecting.error, ECONNREFUSED);
}

TEST(StreamSocket, OneThatIsConnectedToItselfIsRefused) {
  std::optional<UnusedAddress> unused(std::in_place, "127.0.0.1");
  const SocketAddress address = unused->address();
  unused.reset();
  Connecting connecting = begin_connecting(address, &address);
  EXPECT_EQ(finish(connecting), ConnectStatus::kFailed);
  EXPECT_EQ(connecting.error, ECONNREFUSED);
}

TEST(StreamSocket, ConnectsToAUnixSocketOrFindsItBusy) {
  const TemporaryFolder folder;
  const SocketAddress address = *unix_address(folder.path() + "/socket");
  EXPECT_EQ(begin_connecting(address, nullptr).error, ENOENT);
  ListenOptions options;
  options.backlog = 1;
  const auto listener = listen_on(address, options);
  std::vector<Connecting> all;
  do {
    all.push_back(begin_connecting(address, nullptr));
  } while (all.back().status == ConnectStatus::kConnected);
  EXPECT_EQ(all.back().status, ConnectStatus::kBusy);
  EXPECT_GT(all.size(), 1U);
}

}  // namespace
}  // namespace websockets
