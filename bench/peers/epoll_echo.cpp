// SPDX-License-Identifier: MIT
//
// Usage: epoll_echo PORT [broadcast]
//
// The limit: what reading, unmasking and writing cost, and nothing else. It answers the opening handshake, and then
// passes frames back as they come in, without waiting for the end of a message, without checking anything, and with one
// send for one recv. With 'broadcast' each frame goes to everyone. Prints its port when it can be connected to.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kBufferBytes = 256U << 10U;
constexpr std::size_t kMaxHeaderBytes = 14;
constexpr std::string_view kKeyName = "Sec-WebSocket-Key: ";
constexpr std::string_view kKeySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr unsigned kCloseOpcode = 8;

struct Connection {
  int fd;
  bool is_open = false;     // after the handshake
  bool is_closing = false;  // a Close frame was passed back
  std::uint64_t left_bytes = 0;
  std::array<unsigned char, 4> mask{};  // the next payload byte's comes first
  std::string incomplete{};             // a request or a header
  std::string unsent{};
  std::size_t unsent_begin = 0;
};

bool is_broadcasting = false;
int epoll_fd = -1;
std::vector<Connection*> connections;
std::array<unsigned char, kBufferBytes> input;
std::array<unsigned char, kBufferBytes + kMaxHeaderBytes> output;  // an answer is not longer than what it answers
std::size_t output_bytes = 0;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

void watch(Connection& connection, int operation, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  if (::epoll_ctl(epoll_fd, operation, connection.fd, &event) != 0) die("epoll_ctl");
}

void drop(Connection& connection) {
  ::close(connection.fd);
  connections.erase(std::find(connections.begin(), connections.end(), &connection));
  delete &connection;
}

// False: the connection is lost.
bool send_bytes(Connection& connection, std::string_view bytes) {
  if (!connection.unsent.empty()) {
    connection.unsent += bytes;
    return true;
  }
  const ssize_t sent = ::send(connection.fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  if (!bytes.empty()) {
    connection.unsent = bytes;
    watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
  }
  return true;
}

bool send_unsent(Connection& connection) {
  const std::string_view bytes = std::string_view(connection.unsent).substr(connection.unsent_begin);
  const ssize_t sent = ::send(connection.fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN;
  connection.unsent_begin += static_cast<std::size_t>(sent);
  if (connection.unsent_begin == connection.unsent.size()) {
    connection.unsent.clear();
    connection.unsent_begin = 0;
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
  }
  return true;
}

bool shake_hands(Connection& connection) {
  const std::string& request = connection.incomplete;
  if (!request.ends_with("\r\n\r\n")) return true;
  const std::size_t begin = request.find(kKeyName) + kKeyName.size();
  std::string key = request.substr(begin, request.find('\r', begin) - begin);
  key += kKeySuffix;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  std::array<char, 32> accept;
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(accept.data()), digest.data(), static_cast<int>(digest.size()));
  connection.is_open = true;
  connection.incomplete = {};
  return send_bytes(connection, std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                            "Connection: Upgrade\r\nSec-WebSocket-Accept: ") +
                                    accept.data() + "\r\n\r\n");
}

// Both at the same speed, whatever their alignment: eight bytes at a time.
void unmask(unsigned char* to, const unsigned char* from, std::size_t size, const std::array<unsigned char, 4>& mask) {
  std::uint64_t key;
  std::memcpy(&key, mask.data(), 4);
  key |= key << 32U;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, from + i, 8);
    word ^= key;
    std::memcpy(to + i, &word, 8);
  }
  for (; i < size; ++i) to[i] = static_cast<unsigned char>(from[i] ^ mask[i % 4]);
}

// Takes a header, and writes the one of the answer. 0: it is not complete.
std::size_t take_header(Connection& connection, const unsigned char* bytes, std::size_t size) {
  if (size < 2) return 0;
  const unsigned length = bytes[1] & 0x7fU;
  const std::size_t length_bytes = length < 126 ? 0 : length == 126 ? 2 : 8;
  const std::size_t header_bytes = 2 + length_bytes + 4;
  if (size < header_bytes) return 0;
  std::uint64_t payload_bytes = length_bytes == 0 ? length : 0;
  for (std::size_t i = 0; i < length_bytes; ++i) payload_bytes = payload_bytes << 8U | bytes[2 + i];
  if (is_broadcasting && size < header_bytes + payload_bytes) return 0;  // frames are not to be mixed up
  connection.left_bytes = payload_bytes;
  std::memcpy(connection.mask.data(), bytes + header_bytes - 4, 4);
  connection.is_closing = (bytes[0] & 0xfU) == kCloseOpcode;
  std::memcpy(output.data() + output_bytes, bytes, 2 + length_bytes);
  output[output_bytes + 1] = static_cast<unsigned char>(length);
  output_bytes += 2 + length_bytes;
  return header_bytes;
}

void take_frames(Connection& connection, const unsigned char* bytes, std::size_t size) {
  while (size > 0) {
    if (connection.left_bytes == 0) {
      const std::size_t header_bytes = take_header(connection, bytes, size);
      if (header_bytes == 0) {
        connection.incomplete.assign(reinterpret_cast<const char*>(bytes), size);
        return;
      }
      bytes += header_bytes;
      size -= header_bytes;
    }
    const std::size_t count = std::min<std::size_t>(size, connection.left_bytes);
    unmask(output.data() + output_bytes, bytes, count, connection.mask);
    std::rotate(connection.mask.begin(), connection.mask.begin() + static_cast<std::ptrdiff_t>(count % 4),
                connection.mask.end());
    output_bytes += count;
    connection.left_bytes -= count;
    bytes += count;
    size -= count;
  }
}

bool receive(Connection& connection) {
  // What is left of the last time is put in front.
  const std::size_t kept = connection.is_open ? connection.incomplete.size() : 0;
  if (kept > 0) std::memcpy(input.data(), connection.incomplete.data(), kept);
  const ssize_t result = ::recv(connection.fd, input.data() + kept, input.size() - kept, MSG_DONTWAIT);
  if (result < 0 && errno == EAGAIN) return true;
  if (result <= 0) return false;
  const auto size = static_cast<std::size_t>(result);
  if (!connection.is_open) {
    connection.incomplete.append(reinterpret_cast<const char*>(input.data()), size);
    return shake_hands(connection);
  }
  connection.incomplete.clear();
  output_bytes = 0;
  take_frames(connection, input.data(), kept + size);
  const std::string_view answer(reinterpret_cast<const char*>(output.data()), output_bytes);
  if (answer.empty()) return true;
  if (is_broadcasting && !connection.is_closing) {
    for (Connection* const other : connections) {
      if (other->is_open) send_bytes(*other, answer);
    }
    return true;
  }
  return send_bytes(connection, answer) && !connection.is_closing;
}

int listen_on(const char* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (::listen(fd, 4096) != 0) die("listen");
  return fd;
}

void accept_all(int listener) {
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections.push_back(new Connection{.fd = fd});
    watch(*connections.back(), EPOLL_CTL_ADD, EPOLLIN);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  is_broadcasting = argc > 2 && std::string_view(argv[2]) == "broadcast";
  epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) die("epoll_create1");
  Connection listener{.fd = listen_on(argv[1])};
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  std::puts(argv[1]);
  std::fflush(stdout);
  std::array<epoll_event, 1024> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      Connection& connection = *static_cast<Connection*>(event.data.ptr);
      if (&connection == &listener) {
        accept_all(listener.fd);
        continue;
      }
      const bool is_writable = (event.events & EPOLLOUT) != 0;
      if (!(is_writable ? send_unsent(connection) : receive(connection))) drop(connection);
    }
  }
}
