// SPDX-License-Identifier: MIT
#include "dial/connect_attempts.h"

#include <netinet/in.h>

#include <cerrno>
#include <new>
#include <utility>

#include "loop/loop.h"
#include "net/stream_socket.h"

namespace websockets {
namespace {

constexpr std::uint64_t kBusyPauseMs = 20;

// Which failure says most of several addresses': 0 does.
int rank(FailureKind kind) {
  switch (kind) {
    case FailureKind::kRefused:
      return 0;
    case FailureKind::kLost:
      return 1;
    case FailureKind::kTimeout:
      return 2;
    default:
      return 3;
  }
}

bool is_link_local(const SocketAddress& address) {
  if (address.storage.ss_family != AF_INET6) return false;
  return IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr);
}

}  // namespace

// One socket that is being connected.
class ConnectAttempts::Attempt final : public Pollable {
 public:
  Attempt(UniqueFd fd, const SocketAddress& address, ConnectAttempts& attempts)
      : Pollable(fd.get()), address_(address), attempts_(attempts), socket_(std::move(fd)) {}

  void on_ready(unsigned) override {
    if (socket_) attempts_.on_ready(*this);
  }
  const SocketAddress& address() const { return address_; }
  UniqueFd take_socket(Loop& loop) {
    if (socket_) loop.remove(*this);
    return std::move(socket_);
  }

 private:
  const SocketAddress& address_;
  ConnectAttempts& attempts_;
  UniqueFd socket_;
};

ConnectAttempts::ConnectAttempts(Loop& loop, ConnectAttemptsOwner& owner) : loop_(loop), owner_(owner) {}

ConnectAttempts::~ConnectAttempts() { abort(); }

void ConnectAttempts::start(std::string name, std::vector<SocketAddress> addresses, const std::string& interface) {
  name_ = std::move(name);
  addresses_ = std::move(addresses);
  if (!interface.empty()) {
    Result<std::vector<SocketAddress>> sources = interface_addresses(interface, 0);
    if (!sources) {
      failure_.kind = FailureKind::kUnreachable;
      failure_.phase = FailurePhase::kTcp;
      failure_.message = "cannot connect to " + name_ + ": " + sources.error().text;
      failure_.code = sources.error().code;
      is_over_ = true;
      return owner_.on_connect_failed(std::move(failure_));
    }
    sources_ = std::move(*sources);
  }
  go_on(nullptr);
}

void ConnectAttempts::abort() {
  is_over_ = true;
  loop_.cancel(*this);
  for (const auto& attempt : attempts_) attempt->take_socket(loop_).reset();
}

std::string ConnectAttempts::address() const { return latest_ == nullptr ? std::string() : latest_->text(); }

void ConnectAttempts::on_timeout() {
  if (!is_over_) go_on(nullptr);
}

void ConnectAttempts::on_ready(Attempt& attempt) { go_on(&attempt); }

void ConnectAttempts::go_on(Attempt* ready) {
  Outcome outcome = Outcome::kFailed;
  try {
    outcome = ready == nullptr ? try_next() : finish(*ready);
    if (outcome == Outcome::kFailed) describe_failures();
  } catch (const std::bad_alloc&) {
    outcome = Outcome::kFailed;
    failure_ = failure_without_memory(FailurePhase::kTcp);
  }
  if (outcome == Outcome::kPending) return;
  abort();
  if (outcome == Outcome::kConnected) return owner_.on_connected(std::move(connected_));
  owner_.on_connect_failed(std::move(failure_));
}

ConnectAttempts::Outcome ConnectAttempts::finish(Attempt& attempt) {
  int error = 0;
  const ConnectStatus status = finish_connecting(attempt.fd(), error);
  if (status == ConnectStatus::kPending) return Outcome::kPending;
  UniqueFd fd = attempt.take_socket(loop_);
  --pending_;
  if (status == ConnectStatus::kConnected) {
    connected_ = std::move(fd);
    latest_ = &attempt.address();
    return Outcome::kConnected;
  }
  note_failure(attempt.address(), error);
  return try_next();
}

ConnectAttempts::Outcome ConnectAttempts::try_next() {
  while (next_ < addresses_.size()) {
    latest_ = &addresses_[next_++];
    const Outcome outcome = begin(*latest_);
    if (outcome != Outcome::kFailed) return outcome;
  }
  return pending_ > 0 ? Outcome::kPending : Outcome::kFailed;
}

ConnectAttempts::Outcome ConnectAttempts::begin(const SocketAddress& address) {
  Connecting connecting = can_come_from_here(address) ? begin_connecting(address, source_for(address))
                                                      : Connecting{ConnectStatus::kFailed, {}, EADDRNOTAVAIL};
  switch (connecting.status) {
    case ConnectStatus::kConnected:
      connected_ = std::move(connecting.fd);
      return Outcome::kConnected;
    case ConnectStatus::kBusy:
      --next_;
      loop_.schedule(*this, kBusyPauseMs);
      return Outcome::kPending;
    case ConnectStatus::kPending: {
      auto attempt = std::make_unique<Attempt>(std::move(connecting.fd), address, *this);
      attempts_.push_back(std::move(attempt));
      loop_.add(*attempts_.back());
      if (!loop_.watch(*attempts_.back(), kWritable)) {
        connecting.error = errno;
        attempts_.back()->take_socket(loop_).reset();
        break;
      }
      ++pending_;
      if (next_ < addresses_.size()) loop_.schedule(*this, kAttemptDelayMs);
      return Outcome::kPending;
    }
    case ConnectStatus::kFailed:
      break;
  }
  note_failure(address, connecting.error);
  return Outcome::kFailed;
}

// Of the address's own family and scope, as far as there is one.
const SocketAddress* ConnectAttempts::source_for(const SocketAddress& address) const {
  const SocketAddress* found = nullptr;
  for (const SocketAddress& source : sources_) {
    if (source.storage.ss_family != address.storage.ss_family) continue;
    if (is_link_local(source) == is_link_local(address)) return &source;
    if (found == nullptr) found = &source;
  }
  return found;
}

bool ConnectAttempts::can_come_from_here(const SocketAddress& address) const {
  return sources_.empty() || address.is_unix() || source_for(address) != nullptr;
}

void ConnectAttempts::note_failure(const SocketAddress& address, int error) {
  const std::string text = address.text();
  Failure failure = socket_failure(FailurePhase::kTcp, text, error);
  if (!failures_.empty()) failures_ += "; ";
  failures_ += failure.message;
  if (!failure_ || rank(failure.kind) < rank(failure_.kind)) failure_ = std::move(failure);
}

void ConnectAttempts::describe_failures() {
  const bool names_address = addresses_.size() == 1 && addresses_[0].text() == name_;
  failure_.message = "cannot connect to " + (names_address ? failures_ : name_ + " (" + failures_ + ")");
  failure_.address = address();
}

}  // namespace websockets
