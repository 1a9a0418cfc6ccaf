// SPDX-License-Identifier: MIT
#include "connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "progress.h"
#include "support.h"

namespace {

constexpr std::size_t kOpeningAtATime = 64;
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::string_view kCloseFrame("\x88\x82\x01\x02\x03\x04\x02\xea", 8);  // masked; 1000
constexpr std::string_view kCloseAnswer("\x88\x02\x03\xe8", 4);

std::array<char, 256U << 10U> buffer;

}  // namespace

constexpr std::string_view Connection::kRequest =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

void Connection::open(const Loop& loop, const Target& target, const Frames& frames, std::string_view request) {
  loop_ = &loop;
  request_ = request;
  frames_ = &frames;
  state_ = State::kConnecting;
  received_.clear();
  sent_bytes_ = to_send_bytes_ = received_bytes_ = 0;
  if (!socket_.connect(target)) {
    lose(std::string("connect: ") + std::strerror(errno));
    return;
  }
  watched_ = EPOLLOUT;
  loop_->control(EPOLL_CTL_ADD, socket_.fd(), *this, watched_);
}

Connection::State Connection::go_on_opening() {
  if (state_ == State::kConnecting) {
    switch (socket_.finish_connect()) {
      case Socket::Step::kFailed:
        return lose("it cannot be connected to");
      case Socket::Step::kWaitsForInput:
        watch(EPOLLIN);
        return state_;
      case Socket::Step::kWaitsForOutput:
        watch(EPOLLOUT);
        return state_;
      case Socket::Step::kDone:
        state_ = State::kShakingHands;
        watch(EPOLLIN);
        send_at_once(request_);
        return state_;
    }
  }
  const std::optional<std::size_t> count = socket_.receive(buffer.data(), buffer.size());
  if (!count) return lose("the connection ended in the handshake");
  received_.append(buffer.data(), *count);
  if (received_.find("\r\n\r\n") == std::string::npos) return state_;
  if (!received_.starts_with("HTTP/1.1 101 ") || received_.find(kAccept) == std::string::npos) {
    return lose("refused: " + received_);
  }
  received_ = {};
  return state_ = State::kOpen;
}

Connection::State Connection::lose(std::string reason) {
  socket_.close();
  reason_ = std::move(reason);
  return state_ = State::kLost;
}

void Connection::watch(std::uint32_t events) {
  if (watched_ == events) return;
  watched_ = events;
  loop_->control(EPOLL_CTL_MOD, socket_.fd(), *this, events);
}

// A request or a Close frame: it always fits into the empty buffer of a socket.
void Connection::send_at_once(std::string_view bytes) {
  if (socket_.send(bytes) != bytes.size()) lose("the connection ended");
}

void Connection::send_frames(std::size_t count) {
  to_send_bytes_ += count * frames_->output.frame_bytes();
  if ((watched_ & EPOLLOUT) == 0) flush();
}

void Connection::flush() {
  bool is_blocked = false;
  while (to_send_bytes_ > 0 && !is_blocked) {
    const std::string_view bytes = frames_->output.at(sent_bytes_, to_send_bytes_);
    const std::optional<std::size_t> sent = socket_.send(bytes);
    if (!sent) die_of_error("send");
    is_blocked = *sent < bytes.size();
    sent_bytes_ += *sent;
    to_send_bytes_ -= *sent;
  }
  watch(is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

std::size_t Connection::receive() {
  const std::optional<std::size_t> count = socket_.receive(buffer.data(), buffer.size());
  if (!count) die("a connection was lost");
  const FrameStream& stream = frames_->input;
  const std::uint64_t frames_before = received_bytes_ / stream.frame_bytes();
  std::string_view bytes(buffer.data(), *count);
  while (!bytes.empty()) {
    const std::string_view expected = stream.at(received_bytes_, bytes.size());
    if (!bytes.starts_with(expected)) die("what came back is not what was sent");
    bytes.remove_prefix(expected.size());
    received_bytes_ += expected.size();
  }
  return received_bytes_ / stream.frame_bytes() - frames_before;
}

void Connection::send_close() { send_at_once(kCloseFrame); }

bool Connection::receive_close() {
  const std::optional<std::size_t> count = socket_.receive(buffer.data(), buffer.size());
  received_.append(buffer.data(), count.value_or(0));
  if (count) return false;
  if (received_ != kCloseAnswer) die("a connection was closed without a Close frame");
  socket_.close();
  return true;
}

unsigned Connection::receive_close_code() {
  const std::optional<std::size_t> count = socket_.receive(buffer.data(), buffer.size());
  received_.append(buffer.data(), count.value_or(0));
  if (received_.size() >= 4 && received_[0] == '\x88' && received_.size() == received_[1] + 2U) {
    return (static_cast<unsigned char>(received_[2]) * 256U) + static_cast<unsigned char>(received_[3]);
  }
  if (!count || (!received_.empty() && received_[0] != '\x88')) die("no Close frame came, or something else did");
  return 0;
}

bool Connection::receive_end() {
  const std::optional<std::size_t> count = socket_.receive(buffer.data(), buffer.size());
  if (count.value_or(0) > 0) die("something came behind a Close frame");
  return !count;
}

void Connection::drop() { socket_.close(); }

void Connection::reset() { socket_.reset(); }

void Connection::leave_loop() { loop_->control(EPOLL_CTL_DEL, socket_.fd(), *this, 0); }

void Connection::check_idle() {
  if (socket_.receive(buffer.data(), buffer.size()) != 0U) die("an idle connection was lost, or something came");
}

void open_all(const Loop& loop, const Target& target, const Frames& frames, std::vector<Connection>& connections,
              std::size_t timeout_s) {
  Progress progress("open", timeout_s);
  std::size_t begun = 0;
  std::size_t opened = 0;
  while (opened < connections.size()) {
    for (; begun < connections.size() && begun - opened < kOpeningAtATime; ++begun) {
      connections[begun].open(loop, target, frames);
      if (connections[begun].state() == Connection::State::kLost) die(connections[begun].reason());
    }
    loop.wait(kSecondNs, [&opened](Connection& connection, std::uint32_t) {
      const Connection::State state = connection.go_on_opening();
      if (state == Connection::State::kLost) die(connection.reason());
      if (state == Connection::State::kOpen) ++opened;
    });
    progress.tell(opened, connections.size());
  }
}
