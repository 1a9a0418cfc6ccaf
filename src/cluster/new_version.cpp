// SPDX-License-Identifier: MIT
#include "cluster/new_version.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <span>
#include <vector>

#include "base/interrupted.h"
#include "cluster/describe_exit.h"
#include "cluster/listener_handover.h"
#include "loop/loop.h"
#include "net/stream_socket.h"
#include "server/listeners.h"

namespace websockets {
namespace {

// For the process to end, once it has closed the socket.
constexpr std::uint64_t kWaitMs = 10;
constexpr int kMostWaits = 200;

Error send_listeners(HandoverSocket& socket, const Listeners& listeners) {
  auto status = HandoverSocket::Status::kDone;
  const auto send = [&](HandoverKind kind, const std::string& name, std::span<const int> descriptors) {
    if (status == HandoverSocket::Status::kDone) status = socket.send(kind, name, descriptors);
  };
  for (std::size_t place = 0; place < listeners.count(); ++place) {
    std::vector<int> descriptors;
    for (const auto& acceptor : listeners.acceptors(place)) descriptors.push_back(acceptor->listener().fd.get());
    const Listener& first = listeners.acceptors(place).front()->listener();
    const HandoverKind kind = first.file.exists() ? HandoverKind::kListenersAndFile : HandoverKind::kListeners;
    // The socket takes only so many messages before one is received.
    for (std::span<const int> left(descriptors); !left.empty();) {
      const std::size_t count = std::min(left.size(), HandoverSocket::kMostDescriptors);
      send(kind, first.name, left.first(count));
      left = left.subspan(count);
    }
  }
  send(HandoverKind::kEnd, {}, {});
  if (status == HandoverSocket::Status::kDone) status = socket.flush();
  return status == HandoverSocket::Status::kDone ? Error{} : Error{"the listeners cannot be handed over", 0};
}

// That of the process which serves may be another one than was started, as where that is a script around it.
pid_t number_in(const std::string& text, pid_t otherwise) {
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid > 0 ? pid : otherwise;
}

}  // namespace

NewVersion::~NewVersion() {
  if (talk_ != nullptr) end();
}

Error NewVersion::start(const ProgramStart& program, const Listeners& listeners, Loop& loop) {
  if (is_starting()) {
    return {"a new version is starting already: process " + std::to_string(talk_->pid()), EALREADY};
  }
  if (::getpid() == 1) return {"no new version can take the place of process 1: replace the container", EPERM};
  Result<std::array<UniqueFd, 2>> ends = make_socket_pair("no new version");
  if (!ends) return ends.error();
  HandoverSocket socket(std::move((*ends)[0]));
  if (Error error = send_listeners(socket, listeners)) return error;
  const Result<pid_t> pid = start_program(program, ListenerHandover::kVariable, (*ends)[1].get());
  if (!pid) return pid.error();
  loop_ = &loop;
  talk_ = std::make_unique<Talk>(*this, std::move(socket), *pid);
  if (loop.watch_internal(*talk_)) return {};
  Error error = system_error("the new version cannot be heard");
  ::kill(*pid, SIGTERM);
  retry_interrupted([&] { return ::waitpid(*pid, nullptr, 0); });
  talk_.reset();
  return error;
}

void NewVersion::cancel() {
  if (talk_ != nullptr) ::kill(talk_->pid(), SIGTERM);
}

void NewVersion::leave() {
  if (talk_ != nullptr) talk_->socket().close();
}

void NewVersion::receive() {
  HandoverMessage message;
  switch (talk_->socket().receive(message)) {
    case HandoverSocket::Status::kWouldBlock:
      return;
    case HandoverSocket::Status::kClosed:
      return give_up({});
    case HandoverSocket::Status::kDone:
      break;
  }
  if (message.kind != HandoverKind::kReady) return give_up(std::move(message.text));
  const pid_t pid = number_in(message.text, talk_->pid());
  end();
  owner_.on_new_version_ready(pid);
}

// A process that has closed the socket without a word has ended, or will do so.
void NewVersion::give_up(std::string why) {
  loop_->unwatch_internal(*talk_);
  talk_->why = std::move(why);
  wait_for_end();
}

void NewVersion::wait_for_end() {
  int status = 0;
  const bool has_ended = ::waitpid(talk_->pid(), &status, WNOHANG) != 0;
  if (!has_ended && ++talk_->waits < kMostWaits) return loop_->schedule(*talk_, kWaitMs);
  std::string why = std::move(talk_->why);
  if (why.empty()) why = has_ended ? describe_exit(status) : "it lives on, but has closed the socket that it was given";
  end();
  owner_.on_new_version_failed(why);
}

// Within its own calls, too.
void NewVersion::end() {
  loop_->unwatch_internal(*talk_);
  loop_->cancel(*talk_);
  loop_->dispose(std::move(talk_));
}

}  // namespace websockets
