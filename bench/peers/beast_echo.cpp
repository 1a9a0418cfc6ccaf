// SPDX-License-Identifier: MIT
//
// Usage: beast_echo PORT [broadcast]
//
// Echoes, or with 'broadcast' sends each message to everyone, by Boost.Beast, as its asynchronous examples do: the next
// message is read when the answer to this one was written. Prints its port when it can be connected to.

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

struct Message {
  std::string bytes;
  bool is_text;
};

class Session;
bool is_broadcasting = false;
std::set<Session*> sessions;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(Socket socket) : stream_(std::move(socket)) {
    stream_.next_layer().set_option(tcp::no_delay(true));
    stream_.auto_fragment(false);
  }

  ~Session() { sessions.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    stream_.async_accept([self = shared_from_this()](error_code error) {
      if (error) return;
      sessions.insert(self.get());
      self->read();
    });
  }

 private:
  void read() {
    stream_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) is_broadcasting ? self->broadcast() : self->echo();
    });
  }

  void echo() {
    stream_.text(stream_.got_text());
    stream_.async_write(buffer_.data(), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return;
      self->buffer_.clear();
      self->read();
    });
  }

  void broadcast() {
    const auto message =
        std::make_shared<const Message>(Message{beast::buffers_to_string(buffer_.data()), stream_.got_text()});
    buffer_.clear();
    for (Session* const session : sessions) session->queue(message);
    read();
  }

  void queue(const std::shared_ptr<const Message>& message) {
    queue_.push_back(message);
    if (queue_.size() == 1) write_first();
  }

  void write_first() {
    const Message& message = *queue_.front();
    stream_.text(message.is_text);
    stream_.async_write(asio::buffer(message.bytes), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return;
      self->queue_.pop_front();
      if (!self->queue_.empty()) self->write_first();
    });
  }

  beast::websocket::stream<Socket> stream_;
  beast::flat_buffer buffer_;
  std::deque<std::shared_ptr<const Message>> queue_;
};

void accept(Acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, Socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->start();
    accept(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  is_broadcasting = argc > 2 && std::string_view(argv[2]) == "broadcast";
  asio::io_context context(1);
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  Acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), port));
  accept(acceptor);
  std::puts(argv[1]);
  std::fflush(stdout);
  context.run();
}
