// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "net/listener.h"
#include "net/socket_address.h"
#include "net/stream_socket.h"

namespace websockets {

// An address of this machine where nobody listens, nor will while this lives.
class UnusedAddress {
 public:
  explicit UnusedAddress(const std::string& literal) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const SocketAddress any = *literal_address(literal, 0);
    EXPECT_EQ(::bind(fd_.get(), any.get(), any.size), 0);
    address_ = local_address(fd_.get());
  }
  const SocketAddress& address() const { return address_; }

 private:
  UniqueFd fd_;
  SocketAddress address_;
};

// A server of this machine, at a free port where none is given.
class Server {
 public:
  explicit Server(const SocketAddress& address = *literal_address("127.0.0.1", 0), const ListenOptions& options = {})
      : listener_(std::move(*listen_on(address, options))), address_(local_address(listener_.fd.get())) {}
  const SocketAddress& address() const { return address_; }
  Accepted accept() const { return accept_from(listener_.fd.get()); }

 private:
  Listener listener_;
  SocketAddress address_;
};

// A server of this machine that takes nobody: who connects hears nothing.
class SilentServer {
 public:
  SilentServer() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const SocketAddress any = *literal_address("127.0.0.1", 0);
    EXPECT_EQ(::bind(fd_.get(), any.get(), any.size), 0);
    EXPECT_EQ(::listen(fd_.get(), 0), 0);
    address_ = local_address(fd_.get());
    // The kernel drops who comes when its queue is full.
    for (int i = 0; i < 4; ++i) clients_.push_back(begin_connecting(address_, nullptr));
    EXPECT_EQ(clients_.back().status, ConnectStatus::kPending);
  }
  const SocketAddress& address() const { return address_; }

 private:
  UniqueFd fd_;
  SocketAddress address_;
  std::vector<Connecting> clients_;
};

}  // namespace websockets
