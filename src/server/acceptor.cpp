// SPDX-License-Identifier: MIT
#include "server/acceptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "loop/loop.h"

namespace websockets {
namespace {

// After so many the connections that are there already are served.
constexpr int kAcceptsPerRound = 16;
constexpr std::uint64_t kPauseMs = 100;
constexpr std::uint64_t kShortPauseMs = 1;
constexpr std::uint64_t kLeaveToOthersMs = 5;

UniqueFd open_spare() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Acceptor::Acceptor(Loop& loop, AcceptorOwner& owner, Listener listener)
    : Pollable(listener.fd.get()),
      loop_(loop),
      owner_(owner),
      listener_(std::move(listener)),
      address_(local_address(listener_.fd.get())) {}

Acceptor::~Acceptor() { stop(); }

bool Acceptor::start(bool is_shared) {
  if (watched_) return true;
  if (!ensure_listening(listener_.fd.get())) return false;
  if (!spare_) spare_ = open_spare();
  set_exclusive(is_shared);
  loop_.add(*this);
  watched_ = true;
  return loop_.watch(*this, kReadable);
}

void Acceptor::suspend() {
  watched_ = false;
  if (listener_.fd) loop_.remove(*this);
  spare_.reset();
  loop_.cancel(*this);
}

void Acceptor::stop() {
  suspend();
  listener_.file.remove();
  listener_.fd.reset();
}

void Acceptor::abandon() {
  share_file();
  stop();
}

void Acceptor::on_ready(unsigned) {
  failed_ = false;
  try {
    accept_batch();
  } catch (const std::bad_alloc&) {
    pause(kPauseMs);
  }
}

void Acceptor::accept_batch() {
  int lost = 0;
  for (int i = 0; i < kAcceptsPerRound && watched_; ++i) {
    Accepted accepted = accept_from(listener_.fd.get());
    switch (accepted.status) {
      case AcceptStatus::kAccepted:
        owner_.on_accepted(std::move(accepted.fd), accepted.peer);
        if (is_exclusive() && owner_.has_more_than_others()) return pause(kLeaveToOthersMs);
        break;
      case AcceptStatus::kNone:
        return;
      case AcceptStatus::kLost:
        ++lost;
        break;
      case AcceptStatus::kNoDescriptor:
        if (!turn_one_away()) return pause(kPauseMs);
        owner_.on_turned_away();
        failed_ = true;
        break;
      case AcceptStatus::kFailed:
        return pause(kPauseMs);
    }
  }
  // A system that says so of everybody may say so for ever.
  if (lost == kAcceptsPerRound) pause(kShortPauseMs);
}

void Acceptor::on_timeout() {
  if (!start(is_exclusive())) pause(kPauseMs);
}

bool Acceptor::turn_one_away() {
  if (!spare_) return false;
  spare_.reset();
  const bool accepted = accept_from(listener_.fd.get()).status == AcceptStatus::kAccepted;
  spare_ = open_spare();
  return accepted;
}

// Until something was freed, perhaps.
void Acceptor::pause(std::uint64_t pause_ms) {
  if (!std::exchange(watched_, false)) return;
  failed_ = true;
  if (!spare_) spare_ = open_spare();
  loop_.schedule(*this, pause_ms);
  loop_.watch(*this, 0);
}

}  // namespace websockets
