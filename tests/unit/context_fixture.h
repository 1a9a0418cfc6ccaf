// SPDX-License-Identifier: MIT
// A context that listens on a free port, and clients of it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"
#include "connection_fixture.h"
#include "server/context.h"

namespace websockets {

class ContextFixture : public testing::Test {
 protected:
  static ContextOptions default_options() {
    ContextOptions options;
    options.protocols = {"chat"};
    options.default_protocol = "chat";
    options.listen = {"127.0.0.1:0"};
    return options;
  }

  void create() {
    Result<std::unique_ptr<Context>> made = Context::create(options, handler);
    ASSERT_TRUE(made) << made.error().text;
    context = std::move(*made);
  }
  UniqueFd connect() const {
    UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
    const SocketAddress& address = context->address(0);
    EXPECT_EQ(::connect(client.get(), address.get(), address.size), 0);
    return client;
  }
  // Until so much has happened.
  void serve_until(std::size_t events) {
    while (log.size() < events) context->service(-1);
  }
  // One that has become a websocket.
  UniqueFd open_websocket() {
    UniqueFd client = connect();
    write_all(client.get(), kUpgradeRequest);
    serve_until(log.size() + 1);
    EXPECT_EQ(log.back(), "open");
    std::string head;
    while (!head.ends_with("\r\n\r\n")) head += read_exactly(client.get(), 1);
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101"));
    return client;
  }

  Log log;
  FakeServerHandler handler{log};
  ContextOptions options = default_options();
  std::unique_ptr<Context> context;
};

}  // namespace websockets
