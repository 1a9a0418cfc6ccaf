// SPDX-License-Identifier: MIT
#include "cluster/process_signals.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include "loop/loop.h"

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#include <sys/prctl.h>
#define WEBSOCKETS_HAVE_PARENT_DEATH_SIGNAL
#endif

namespace websockets {
namespace {

constexpr int kSignals = 65;
constexpr unsigned kSecondsAfterParent = 1;

// For the handlers: signals are the process's, so these are, too.
std::array<std::atomic<int>, kSignals> counts;
std::atomic<int> stops{0};  // SIGINT and SIGTERM
std::atomic<int> writer{-1};
std::atomic<int> handlers_running{0};
std::atomic<bool> is_in_use{false};
std::atomic<pid_t> parent{0};  // 0: this process does not end with it
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free);

void on_signal(int number) {
  const int error = errno;
  ++handlers_running;
  ++counts[static_cast<std::size_t>(number)];
  [[maybe_unused]] const ssize_t unused = ::write(writer, "", 1);
  if (number == SIGINT || number == SIGTERM) {
    if (++stops >= 2) {
      for (const int one : {SIGINT, SIGTERM}) static_cast<void>(::signal(one, SIG_DFL));
    }
    if (parent != 0 && ::getppid() != parent) {
      static_cast<void>(::signal(SIGALRM, SIG_DFL));
      ::alarm(kSecondsAfterParent);
    }
  }
  --handlers_running;
  errno = error;
}

// Unlike SIG_IGN, it does not stay when a program is executed.
void on_ignored(int) {}

}  // namespace

Error ProcessSignals::open(std::vector<int> told, const std::vector<int>& ignored) {
  if (is_in_use.exchange(true)) return {"workers run in this process already"};
  if (!pipe_.open()) {
    is_in_use = false;
    return system_error("no pipe");
  }
  fd_ = pipe_.reader.get();
  if (!loop_.watch_internal(*this)) {
    fd_ = -1;
    is_in_use = false;
    return system_error("signals cannot be watched");
  }
  for (std::atomic<int>& count : counts) count = 0;
  stops = 0;
  writer = pipe_.writer.get();
  told_ = std::move(told);
  before_.reserve(told_.size() + ignored.size());
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : told_) sigaddset(&action.sa_mask, number);
  const auto install = [&](const std::vector<int>& numbers, void (*handler)(int)) {
    action.sa_handler = handler;
    for (const int number : numbers) {
      before_.push_back({number, {}});
      ::sigaction(number, &action, &before_.back().action);
    }
  };
  install(told_, on_signal);
  install(ignored, on_ignored);
  return {};
}

void ProcessSignals::restore() {
  for (const Before& before : std::exchange(before_, {})) ::sigaction(before.number, &before.action, nullptr);
}

void ProcessSignals::close() {
  if (fd_ < 0) return;
  restore();
  // In another thread.
  while (handlers_running != 0) {
  }
  loop_.unwatch_internal(*this);
  abandon();
}

void ProcessSignals::abandon() {
  restore();
  handlers_running = 0;  // the other threads are not here
  fd_ = -1;
  pipe_ = {};
  is_in_use = false;
}

bool ProcessSignals::end_with_parent([[maybe_unused]] pid_t of) {
#ifdef WEBSOCKETS_HAVE_PARENT_DEATH_SIGNAL
  parent = of;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
  return ::getppid() == of;
}

ProcessSignals::Blocked::Blocked() {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

void ProcessSignals::Blocked::end() {
  if (!std::exchange(has_ended_, true)) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void ProcessSignals::on_ready(unsigned) {
  std::array<char, 64> bytes;
  while (::read(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
  }
  for (const int number : std::vector(told_)) {
    const int count = counts[static_cast<std::size_t>(number)].exchange(0);
    if (count > 0 && fd_ >= 0) handler_.on_signal(number, count);
  }
}

}  // namespace websockets
