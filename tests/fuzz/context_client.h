// SPDX-License-Identifier: MIT
// A client of the fuzz target of a whole context.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <string_view>

#include "reader_feeder.h"
#include "websocket/message_compression.h"

namespace websockets::fuzz {

using namespace protocol_support;

inline constexpr std::uint64_t kMaxMessageBytes = 4096;
inline constexpr std::uint64_t kMaxLargeMessageBytes = 40'000;
inline constexpr std::string_view kBroadcast = "to all";
inline constexpr std::string_view kHandshake =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

// What clients ask for: each message of theirs stands alone, and with this flag each one of the server, too. They
// understand it if it does not.
struct Compression {
  explicit Compression(unsigned flags) : is_forgetful((flags & 16U) != 0) {}
  std::string offer() const {
    const std::string forgetful = is_forgetful ? "; server_no_context_takeover" : "";
    return "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover" + forgetful + "\r\n";
  }

  bool is_forgetful;
  CompressionOptions options{.min_bytes = 1};
  DeflateParameters as_client{.server_no_context_takeover = true};  // the other way round: what is sent
  CompressionPool pool{options};
};

// Reads what is compressed, too.
class Reader final : public Recorder {
 public:
  explicit Reader(Compression& compression) : compression_(compression.pool, compression.as_client) {}
  MessageCompression* compression() override { return &compression_; }

  Outcome read(Bytes stream, const ReceiveRules& rules) {
    MessageReader reader;
    std::span<std::uint8_t> rest(stream);
    while ((!rest.empty() || reader.is_inflating()) && !finished()) {
      outcome.error = reader.consume(rest, rules, *this);
    }
    return outcome;
  }

 private:
  MessageCompression compression_;
};

// The frames of each client that there was, as they would be without compression.
using SentStreams = std::deque<std::string>;

inline Outcome read_sent(const std::string& stream) {
  ReceiveRules rules;
  rules.max_message_bytes = kMaxLargeMessageBytes;
  return Reference(to_bytes(stream), rules).outcome();
}

// Sends a handshake and frames, and says whether what came back fits to them.
class Client {
 public:
  Client(int listener, Compression* compression, SentStreams& sent)
      : compression_(compression),
        sent_(sent.emplace_back()),
        fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    constexpr int bytes = 2 * kMostSentBytes;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) close();
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string handshake() const {
    return std::string(kHandshake).append(compression_ != nullptr ? compression_->offer() : "").append("\r\n");
  }
  // The same frame `count` times at once.
  void send(const FrameSpec& spec, std::size_t count, bool is_compressed) {
    const std::string plain = to_text(make_frame(spec));
    const std::string frame = is_compressed && compression_ != nullptr ? compressed(spec) : plain;
    std::string bytes;
    count = std::min(count, kMostPlainBytes / plain.size() + 1);
    for (std::size_t i = 0; fd_ >= 0 && i < count && bytes.size() < kMostSentBytes; ++i) {
      sent_ += plain;
      bytes += frame;
    }
    write(bytes);
  }
  void write(std::string_view bytes) {
    if (fd_ < 0) return;
    // What does not fit is lost, and the stream with it.
    if (::syscall(SYS_sendto, fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL, nullptr, 0) !=
        static_cast<ssize_t>(bytes.size())) {
      close();
    }
  }
  void read() {
    std::array<char, 4096> buffer;
    while (fd_ >= 0) {
      const ssize_t count = ::syscall(SYS_recvfrom, fd_, buffer.data(), buffer.size(), 0, nullptr, nullptr);
      if (count <= 0) return;
      received_.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }
  void shutdown() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // What has come is an answer to the handshake, then whole frames. The echoes among them are what was sent, in order;
  // some may be missing: what was not delivered, or found no room.
  void check() const {
    const std::size_t end = received_.find("\r\n\r\n");
    if (!received_.starts_with("HTTP/1.1 101 ") || end == std::string::npos) return;
    ReceiveRules rules;
    rules.max_message_bytes = kMaxLargeMessageBytes;
    rules.expect_masked = false;
    const Bytes frames = to_bytes(std::string_view(received_).substr(end + 4));
    const Outcome received =
        compression_ == nullptr ? Reference(frames, rules).outcome() : Reader(*compression_).read(frames, rules);
    EXPECT_EQ(received.error, ProtocolError::kNone);
    const Outcome sent = read_sent(sent_);
    auto next = sent.events.begin();
    for (const std::string& event : received.events) {
      if (!is_echo(event)) continue;
      next = std::find(next, sent.events.end(), event);
      ASSERT_NE(next, sent.events.end()) << "was not sent: " << event;
      ++next;
    }
  }

 private:
  // Clients' payloads consist of 'c', or nothing.
  static bool is_echo(const std::string& event) {
    return event.starts_with("binary:") ||
           (event.starts_with("text:") && event.find('s', 5) == std::string::npos && !event.ends_with(kBroadcast));
  }

  std::string compressed(FrameSpec spec) const {
    MessageCompression compression(compression_->pool, compression_->as_client);
    ByteBuffer payload;
    if (compression.compress_shared(to_bytes(spec.payload), payload)) {
      spec.payload = to_text(payload.bytes());
      spec.rsv_bits = 0x40;
    }
    return to_text(make_frame(spec));
  }

  static constexpr std::size_t kMostSentBytes = 30'000;
  static constexpr std::size_t kMostPlainBytes = 200'000;

  Compression* compression_;  // null: not offered
  std::string& sent_;
  int fd_;
  std::string received_;
};

}  // namespace websockets::fuzz
