// SPDX-License-Identifier: MIT
//
// Usage: load --port PORT [--mode echo|fanout|connect|idle] [--connections N] [--size BYTES] [--outstanding N]
//             [--messages N] [--warmup N] [--text]
//
// A client that gives a WebSocket server on 127.0.0.1 something to do, on one thread. Once everything is connected and
// warm it prints 'ready'; a line on its input makes it begin; at the end it prints 'N done in S s'.
//   echo      each connection has `outstanding` messages under way; what comes back is compared byte by byte
//   fanout    the first connection sends, all of them receive; a message to one receiver counts as one
//   connect   `messages` times: a connection, the opening handshake and the closing handshake, `connections` at a time
//   idle      each connection has had one message echoed, and stays open until the input ends
//
// All messages are the same. So what is sent on a connection, and what must come back, is one frame over and over
// again, and is taken from a buffer that holds a number of them.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kBufferBytes = 256U << 10U;
constexpr std::string_view kRequest =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::string_view kCloseFrame("\x88\x82\x01\x02\x03\x04\x02\xea", 8);  // masked; 1000
constexpr std::string_view kCloseAnswer("\x88\x02\x03\xe8", 4);
constexpr std::array<char, 4> kMask = {'\x37', '\xfa', '\x21', '\x3d'};

struct Options {
  std::uint16_t port = 0;
  std::string mode = "echo";
  std::size_t connections = 100;
  std::size_t size = 20;
  std::size_t outstanding = 1;
  std::size_t messages = 100'000;
  std::size_t warmup = 0;
  bool text = false;
};

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "load: %s\n", what.c_str());
  std::exit(1);
}

[[noreturn]] void die_of_error(const char* what) { die(std::string(what) + ": " + std::strerror(errno)); }

// An endless repetition of one frame.
class Stream {
 public:
  Stream(const Options& options, bool is_masked) {
    std::string frame(1, options.text ? '\x81' : '\x82');
    const std::size_t size = options.size;
    const auto mask_bit = static_cast<std::size_t>(is_masked ? 0x80 : 0);
    const std::size_t length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    frame += static_cast<char>(mask_bit | (length_bytes == 0 ? size : length_bytes == 2 ? 126U : 127U));
    for (std::size_t i = length_bytes; i-- > 0;) frame += static_cast<char>((size >> (8 * i)) & 0xffU);
    if (is_masked) frame.append(kMask.data(), kMask.size());
    for (std::size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<unsigned char>('a' + (i % 26));
      frame += static_cast<char>(byte ^ (is_masked ? static_cast<unsigned char>(kMask[i % 4]) : 0U));
    }
    frame_bytes_ = frame.size();
    do bytes_ += frame;
    while (bytes_.size() + frame_bytes_ <= kBufferBytes);
  }

  std::size_t frame_bytes() const { return frame_bytes_; }

  // What follows behind the first `position` bytes, in one piece as far as it goes.
  std::string_view at(std::uint64_t position, std::uint64_t most) const {
    const std::string_view bytes(bytes_);
    return bytes.substr(position % bytes.size(), most);
  }

 private:
  std::string bytes_;
  std::size_t frame_bytes_ = 0;
};

struct Connection {
  int fd = -1;
  std::uint64_t sent_bytes = 0;
  std::uint64_t to_send_bytes = 0;
  std::uint64_t received_bytes = 0;
  bool watches_output = false;
  bool is_open = false;  // connect mode: after the handshake
  std::string received;  // connect mode
};

int open_socket(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die_of_error("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die_of_error("connect");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// A frame or a request: it always fits into the empty buffer of a socket.
void send_all(int fd, std::string_view bytes) {
  if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) die_of_error("send");
}

bool is_complete_head(const std::string& head) {
  if (!head.ends_with("\r\n\r\n")) return false;
  if (!head.starts_with("HTTP/1.1 101 ") || head.find(kAccept) == std::string::npos) die("refused: " + head);
  return true;
}

void shake_hands(int fd) {
  send_all(fd, kRequest);
  std::string head;
  while (!is_complete_head(head)) {
    std::array<char, 1024> part;
    const ssize_t received = ::recv(fd, part.data(), part.size(), 0);
    if (received <= 0) die("the connection ended in the handshake");
    head.append(part.data(), static_cast<std::size_t>(received));
  }
}

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void wait_for_line() {
  int character;
  do character = std::getchar();
  while (character != '\n' && character != EOF);
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        output_(options, true),
        input_(options, false),
        buffer_(std::make_unique<std::array<char, kBufferBytes>>()),
        connections_(options.connections),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die_of_error("epoll_create1");
  }

  // What happens before 'ready'.
  void prepare() {
    if (options_.mode == "connect") return run_handshakes(options_.warmup);
    for (Connection& connection : connections_) {
      connection.fd = open_socket(options_.port);
      shake_hands(connection.fd);
      watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
    run_messages(options_.mode == "idle" ? connections_.size() : options_.warmup);
  }

  // Returns how many messages, or handshakes, that were.
  std::size_t run() {
    if (options_.mode == "idle") return 0;
    if (options_.mode == "connect") {
      run_handshakes(options_.messages);
      return options_.messages;
    }
    run_messages(options_.messages);
    return (options_.messages + receivers() - 1) / receivers() * receivers();
  }

 private:
  void watch(Connection& connection, int operation, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &connection;
    if (::epoll_ctl(epoll_, operation, connection.fd, &event) != 0) die_of_error("epoll_ctl");
  }

  template <typename Handle>
  void serve(Handle handle) {
    std::array<epoll_event, 1024> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    if (count < 0 && errno != EINTR) die_of_error("epoll_wait");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      handle(*static_cast<Connection*>(event.data.ptr), event.events);
    }
  }

  // --- echo, fanout, idle ---

  std::size_t receivers() const { return options_.mode == "fanout" ? connections_.size() : 1; }

  // Until so many messages have been received.
  void run_messages(std::size_t messages) {
    left_to_send_ = (messages + receivers() - 1) / receivers();
    left_to_receive_ = left_to_send_ * receivers();
    for (Connection& connection : connections_) {
      send_messages(connection, options_.outstanding);
      if (options_.mode == "fanout") break;
    }
    while (left_to_receive_ > 0) {
      serve([this](Connection& connection, std::uint32_t events) {
        if ((events & EPOLLOUT) != 0) flush(connection);
        if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(connection);
      });
    }
  }

  void send_messages(Connection& connection, std::size_t count) {
    count = std::min(count, left_to_send_);
    if (count == 0) return;
    left_to_send_ -= count;
    connection.to_send_bytes += count * output_.frame_bytes();
    if (!connection.watches_output) flush(connection);
  }

  void flush(Connection& connection) const {
    bool is_blocked = false;
    while (connection.to_send_bytes > 0 && !is_blocked) {
      const std::string_view bytes = output_.at(connection.sent_bytes, connection.to_send_bytes);
      const ssize_t sent = ::send(connection.fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) die_of_error("send");
      is_blocked = sent < static_cast<ssize_t>(bytes.size());
      if (sent < 0) break;
      connection.sent_bytes += static_cast<std::uint64_t>(sent);
      connection.to_send_bytes -= static_cast<std::uint64_t>(sent);
    }
    if (is_blocked == connection.watches_output) return;
    connection.watches_output = is_blocked;
    watch(connection, EPOLL_CTL_MOD, EPOLLIN | (is_blocked ? static_cast<std::uint32_t>(EPOLLOUT) : 0U));
  }

  void receive(Connection& connection) {
    const ssize_t result = ::recv(connection.fd, buffer_->data(), buffer_->size(), MSG_DONTWAIT);
    if (result < 0 && errno == EAGAIN) return;
    if (result <= 0) die("a connection was lost");
    const std::uint64_t frames_before = connection.received_bytes / input_.frame_bytes();
    std::string_view bytes(buffer_->data(), static_cast<std::size_t>(result));
    while (!bytes.empty()) {
      const std::string_view expected = input_.at(connection.received_bytes, bytes.size());
      if (!bytes.starts_with(expected)) die("what came back is not what was sent");
      bytes.remove_prefix(expected.size());
      connection.received_bytes += expected.size();
    }
    const std::size_t frames = connection.received_bytes / input_.frame_bytes() - frames_before;
    if (frames > left_to_receive_) die("more came back than was sent");
    left_to_receive_ -= frames;
    if (options_.mode == "fanout") {
      send_next_fanout();
    } else if (frames > 0) {
      send_messages(connection, frames);
    }
  }

  // A further message when, taken together, all have received the oldest of those that are under way.
  void send_next_fanout() {
    const std::size_t under_way = left_to_receive_ - (left_to_send_ * receivers());
    const std::size_t messages = (under_way + receivers() - 1) / receivers();
    if (messages < options_.outstanding) send_messages(connections_[0], options_.outstanding - messages);
  }

  // --- connect ---

  void run_handshakes(std::size_t count) {
    left_to_send_ = left_to_receive_ = count;
    for (Connection& connection : connections_) begin_handshake(connection);
    while (left_to_receive_ > 0) {
      serve([this](Connection& connection, std::uint32_t) { go_on_with_handshake(connection); });
    }
  }

  void begin_handshake(Connection& connection) {
    if (left_to_send_ == 0) return;
    --left_to_send_;
    connection.fd = open_socket(options_.port);
    connection.is_open = false;
    connection.received.clear();
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    send_all(connection.fd, kRequest);
  }

  void go_on_with_handshake(Connection& connection) {
    const ssize_t result = ::recv(connection.fd, buffer_->data(), buffer_->size(), MSG_DONTWAIT);
    if (result < 0 && errno == EAGAIN) return;
    if (result < 0) die_of_error("recv");
    connection.received.append(buffer_->data(), static_cast<std::size_t>(result));
    if (!connection.is_open) {
      if (result == 0) die("the connection ended in the handshake");
      if (!is_complete_head(connection.received)) return;
      connection.is_open = true;
      connection.received.clear();
      send_all(connection.fd, kCloseFrame);
    } else if (result == 0) {
      if (connection.received != kCloseAnswer) die("a connection was closed without a Close frame");
      ::close(connection.fd);
      --left_to_receive_;
      begin_handshake(connection);
    }
  }

  const Options& options_;
  const Stream output_;
  const Stream input_;
  const std::unique_ptr<std::array<char, kBufferBytes>> buffer_;
  std::vector<Connection> connections_;
  int epoll_;
  std::size_t left_to_send_ = 0;
  std::size_t left_to_receive_ = 0;
};

std::size_t read_number(const char* name, const char* text) {
  char* end;
  errno = 0;
  const unsigned long long number = std::strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0') die(std::string(name) + " takes a number, not '" + text + "'");
  return static_cast<std::size_t>(number);
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--text") {
      options.text = true;
      continue;
    }
    if (++i == argc) die(std::string(name) + " takes a value");
    const auto number = [&] { return read_number(argv[i - 1], argv[i]); };
    if (name == "--mode") {
      options.mode = argv[i];
    } else if (name == "--port") {
      options.port = static_cast<std::uint16_t>(number());
    } else if (name == "--connections") {
      options.connections = std::max<std::size_t>(number(), 1);
    } else if (name == "--size") {
      options.size = number();
    } else if (name == "--outstanding") {
      options.outstanding = std::max<std::size_t>(number(), 1);
    } else if (name == "--messages") {
      options.messages = number();
    } else if (name == "--warmup") {
      options.warmup = number();
    } else {
      die("unknown option " + std::string(name));
    }
  }
  for (const std::string_view mode : {"echo", "fanout", "connect", "idle"}) {
    if (options.mode == mode) return options;
  }
  die("unknown mode " + options.mode);
}

// As many connections as the system allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  raise_descriptor_limit();
  Load load(options);
  load.prepare();
  std::puts("ready");
  std::fflush(stdout);
  wait_for_line();
  const double begin_s = now_s();
  const std::size_t count = load.run();
  std::printf("%zu done in %.6f s\n", count, now_s() - begin_s);
  return 0;
}
