// SPDX-License-Identifier: MIT
//
// Usage: websocketpp_echo PORT [broadcast]
//
// Echoes, or with 'broadcast' sends each message to everyone, by WebSocket++ on one thread, without its locks and logs.
// Prints its port when it can be connected to.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>
#include <websocketpp/concurrency/none.hpp>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/logger/stub.hpp>
#include <websocketpp/server.hpp>

namespace {

struct Config : websocketpp::config::asio {
  using type = Config;
  using concurrency_type = websocketpp::concurrency::none;
  using alog_type = websocketpp::log::stub;
  using elog_type = websocketpp::log::stub;

  struct transport_config : websocketpp::config::asio::transport_config {
    using concurrency_type = type::concurrency_type;
    using alog_type = type::alog_type;
    using elog_type = type::elog_type;
    static constexpr bool enable_multithreading = false;
  };
  using transport_type = websocketpp::transport::asio::endpoint<transport_config>;
};

using Server = websocketpp::server<Config>;
using Handle = websocketpp::connection_hdl;

constexpr int kBacklog = 4096;

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool is_broadcasting = argc > 2 && std::string_view(argv[2]) == "broadcast";
  Server server;
  std::set<Handle, std::owner_less<Handle>> connections;
  server.init_asio();
  server.set_reuse_addr(true);
  server.set_listen_backlog(kBacklog);
  server.set_tcp_pre_init_handler([&](const Handle& handle) {
    server.get_con_from_hdl(handle)->get_raw_socket().set_option(boost::asio::ip::tcp::no_delay(true));
  });
  websocketpp::lib::error_code ignored;
  if (is_broadcasting) {
    server.set_open_handler([&](const Handle& handle) { connections.insert(handle); });
    server.set_close_handler([&](const Handle& handle) { connections.erase(handle); });
    server.set_message_handler([&](const Handle&, const Server::message_ptr& message) {
      for (const Handle& connection : connections) server.send(connection, message, ignored);
    });
  } else {
    server.set_message_handler(
        [&](const Handle& handle, const Server::message_ptr& message) { server.send(handle, message, ignored); });
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  server.listen(boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4::loopback(), port));
  server.start_accept();
  std::puts(argv[1]);
  std::fflush(stdout);
  server.run();
}
