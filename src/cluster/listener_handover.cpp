// SPDX-License-Identifier: MIT
#include "cluster/listener_handover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/process_environment.h"
#include "net/socket_address.h"
#include "net/stream_socket.h"

namespace websockets {
namespace {

// An old version that is stopped, or hangs, is not waited for without end.
constexpr std::uint64_t kMostWaitMs = 10'000;

// -1: it is none.
int socket_number(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && number > STDERR_FILENO;
  return is_number && local_address(number).is_unix() ? number : -1;
}

// False: not within this time.
bool wait_for_input(int fd, std::uint64_t deadline_ms) {
  pollfd entry{fd, POLLIN, 0};
  for (std::uint64_t now_ms = monotonic_ms(); now_ms < deadline_ms; now_ms = monotonic_ms()) {
    if (::poll(&entry, 1, static_cast<int>(deadline_ms - now_ms)) > 0) return true;
  }
  return false;
}

}  // namespace

ListenerHandover* ListenerHandover::of_process() {
  static const std::unique_ptr<ListenerHandover> handover = from_environment();
  return handover.get();
}

std::unique_ptr<ListenerHandover> ListenerHandover::from_environment() {
  const char* const value = process_environment(kVariable);
  if (value == nullptr) return nullptr;
  const int number = socket_number(value);
  ::unsetenv(kVariable);
  if (number < 0) return nullptr;
  make_non_blocking(number);
  return std::make_unique<ListenerHandover>(UniqueFd(number));
}

std::vector<Listener> ListenerHandover::take(const std::string& name) {
  receive_all();
  const auto taken = std::stable_partition(given_.begin(), given_.end(),
                                           [&](const Listener& listener) { return listener.name != name; });
  std::vector<Listener> result(std::make_move_iterator(taken), std::make_move_iterator(given_.end()));
  given_.erase(taken, given_.end());
  return result;
}

// When the old version has gone meanwhile, what it had sent is taken still.
void ListenerHandover::receive_all() {
  if (std::exchange(has_all_, true)) return;
  const std::uint64_t deadline_ms = monotonic_ms() + kMostWaitMs;
  for (HandoverMessage message; message.kind != HandoverKind::kEnd;) {
    const HandoverSocket::Status status = socket_.receive(message);
    if (status == HandoverSocket::Status::kDone) {
      add(message);
    } else if (status == HandoverSocket::Status::kClosed || !wait_for_input(socket_.fd(), deadline_ms)) {
      return;
    }
  }
}

void ListenerHandover::add(HandoverMessage& message) {
  SocketFile file;
  if (message.kind == HandoverKind::kListenersAndFile && !message.descriptors.empty()) {
    file = SocketFile(local_address(message.descriptors.front().get()));
    file.leave();
  }
  for (UniqueFd& fd : message.descriptors) {
    given_.push_back({std::move(fd), std::exchange(file, SocketFile()), message.text});
  }
}

void ListenerHandover::ready() {
  socket_.send(HandoverKind::kReady, std::to_string(::getpid()));
  for (Listener& listener : given_) listener.file.own();
  close();
}

void ListenerHandover::fail(std::string_view why) {
  socket_.send(HandoverKind::kFailed, why);
  close();
}

void ListenerHandover::leave() { close(); }

void ListenerHandover::close() {
  has_all_ = true;
  given_.clear();
  socket_.close();
}

}  // namespace websockets
