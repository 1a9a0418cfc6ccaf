// SPDX-License-Identifier: MIT
//
// Usage: beast_client PORT CONNECTIONS SIZE
//
// bench/client.lua by Boost.Beast's asynchronous functions: a read is always under way, as what is idle has to answer
// pings.

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;

constexpr std::size_t kMostOpening = 64;

void check(error_code error) {
  if (!error) return;
  std::fprintf(stderr, "%s\n", error.message().c_str());
  std::exit(1);
}

class Connection;

class Exchange {
 public:
  Exchange(std::uint16_t port, std::size_t connections, std::size_t size)
      : endpoint(asio::ip::address_v4::loopback(), port),
        host("127.0.0.1:" + std::to_string(port)),
        payload(size, 'x'),
        connections_(connections) {}

  void run() {
    for (std::size_t i = 0; i < std::min(kMostOpening, connections_); ++i) connect();
    context.run();
  }

  void on_message(Connection& connection);

  asio::io_context context{1};
  const tcp::endpoint endpoint;
  const std::string host;
  const std::string payload;

 private:
  void connect();
  void send(Connection& connection);
  void exchange_more();

  const std::size_t connections_;
  std::vector<std::unique_ptr<Connection>> asked_;
  std::size_t open_ = 0;  // those whose first message is back
  std::size_t unsent_ = 0;
  std::size_t awaited_ = 0;
};

class Connection {
 public:
  explicit Connection(Exchange& exchange) : exchange_(exchange), stream_(exchange.context) {}

  void start() {
    stream_.next_layer().async_connect(exchange_.endpoint, [this](error_code error) {
      check(error);
      stream_.next_layer().set_option(tcp::no_delay(true));
      stream_.auto_fragment(false);
      stream_.binary(true);
      stream_.set_option(websocket::stream_base::decorator(
          [](websocket::request_type& request) { request.set(beast::http::field::sec_websocket_protocol, "bench"); }));
      stream_.async_handshake(exchange_.host, "/", [this](error_code failure) {
        check(failure);
        read();
        send();
      });
    });
  }

  void send() {
    stream_.async_write(asio::buffer(exchange_.payload), [](error_code error, std::size_t) { check(error); });
  }

 private:
  void read() {
    stream_.async_read(buffer_, [this](error_code error, std::size_t) {
      check(error);
      buffer_.clear();
      exchange_.on_message(*this);
      read();
    });
  }

  Exchange& exchange_;
  websocket::stream<Socket> stream_;
  beast::flat_buffer buffer_;
};

void Exchange::connect() {
  asked_.push_back(std::make_unique<Connection>(*this));
  asked_.back()->start();
}

void Exchange::on_message(Connection& connection) {
  if (awaited_ > 0) {
    --awaited_;
    send(connection);
  } else {
    ++open_;
    if (asked_.size() < connections_) connect();
  }
  if (awaited_ == 0 && open_ == connections_) exchange_more();
}

void Exchange::send(Connection& connection) {
  if (unsent_ == 0) return;
  --unsent_;
  connection.send();
}

void Exchange::exchange_more() {
  std::puts("done");
  std::fflush(stdout);
  if (std::scanf("%zu", &unsent_) != 1) std::exit(0);
  awaited_ = unsent_;
  for (const auto& connection : asked_) send(*connection);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const auto number = [argv](int index) { return static_cast<std::size_t>(std::atol(argv[index])); };
  Exchange(static_cast<std::uint16_t>(number(1)), number(2), number(3)).run();
}
