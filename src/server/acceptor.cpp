// SPDX-License-Identifier: MIT
#include "server/acceptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "net/listener.h"
#include "server/context.h"

namespace websockets {
namespace {

// Then the connections that are there already have their turn.
constexpr int kAcceptsPerRound = 16;
constexpr std::uint64_t kPauseMs = 100;

UniqueFd open_spare() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

const char* socket_path(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
}

}  // namespace

Acceptor::Acceptor(Context& context, UniqueFd listener, bool is_inherited)
    : Pollable(listener.get()),
      context_(context),
      listener_(std::move(listener)),
      spare_(open_spare()),
      address_(local_address(listener_.get())) {
  struct stat info {};
  if (address_.is_unix() && !is_inherited && ::stat(socket_path(address_), &info) == 0) inode_ = info.st_ino;
}

Acceptor::~Acceptor() { stop(); }

bool Acceptor::start() {
  if (std::exchange(watched_, true)) return true;
  context_.register_descriptor(*this);
  return context_.watcher_.change(*this, 0, kReadable);
}

void Acceptor::stop() {
  if (std::exchange(watched_, false)) context_.watcher_.change(*this, kReadable, 0);
  if (listener_) context_.forget_descriptor(*this);
  remove_socket_file();
  listener_.reset();
  spare_.reset();
  context_.timers_.cancel(*this);
}

void Acceptor::abandon() {
  inode_ = 0;
  stop();
}

// Unless somebody else has put another one in its place.
void Acceptor::remove_socket_file() {
  struct stat info {};
  const ino_t inode = std::exchange(inode_, ino_t{0});
  if (inode != 0 && ::stat(socket_path(address_), &info) == 0 && info.st_ino == inode) ::unlink(socket_path(address_));
}

void Acceptor::on_ready(unsigned) {
  failed_ = false;
  try {
    accept_batch();
  } catch (const std::bad_alloc&) {
    pause();
  }
}

void Acceptor::accept_batch() {
  for (int i = 0; i < kAcceptsPerRound && watched_; ++i) {
    Accepted accepted = accept_from(listener_.get());
    switch (accepted.status) {
      case AcceptStatus::kAccepted:
        context_.adopt(std::move(accepted.fd), accepted.peer);
        break;
      case AcceptStatus::kNone:
        return;
      case AcceptStatus::kNoDescriptor:
        if (!turn_one_away()) return pause();
        context_.stats_.refuse(RefusalReason::kDescriptors);
        failed_ = true;
        break;
      case AcceptStatus::kNoMemory:
      case AcceptStatus::kFailed:
        return pause();
    }
  }
}

void Acceptor::on_timeout() {
  if (!start()) pause();
}

bool Acceptor::turn_one_away() {
  if (!spare_) return false;
  spare_.reset();
  const bool accepted = accept_from(listener_.get()).status == AcceptStatus::kAccepted;
  spare_ = open_spare();
  return accepted;
}

// Until something was freed, perhaps.
void Acceptor::pause() {
  if (!std::exchange(watched_, false)) return;
  failed_ = true;
  if (!spare_) spare_ = open_spare();
  context_.schedule(*this, kPauseMs);
  context_.watcher_.change(*this, kReadable, 0);
}

}  // namespace websockets
