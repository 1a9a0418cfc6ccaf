// SPDX-License-Identifier: MIT
#include "server/stop_signals.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "net/pipe.h"

namespace websockets {
namespace {

constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};

// Signals are the process's, so this is, too.
std::mutex users_mutex;
int users = 0;
// Nothing is read from them: once one is readable, it is so for all who watch it, now or later.
std::array<Pipe, 2> pipes;
std::array<struct sigaction, kSignals.size()> before;
// For the handler.
std::array<std::atomic<int>, 2> writers;
std::atomic<int> signal_count{0};
std::atomic<int> last_signal{0};
std::atomic<int> handlers_running{0};
static_assert(std::atomic<int>::is_always_lock_free);

void on_signal(int number) {
  const int error = errno;
  ++handlers_running;
  last_signal = number;
  const int count = ++signal_count;
  if (count <= 2) {
    [[maybe_unused]] const ssize_t unused = ::write(writers[static_cast<std::size_t>(count - 1)], "", 1);
  }
  if (count >= 2) {
    for (const int one : kSignals) static_cast<void>(std::signal(one, SIG_DFL));
  }
  --handlers_running;
  errno = error;
}

Error install() {
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    if (!pipes[i].open()) return system_error("no pipe");
    writers[i] = pipes[i].writer.get();
  }
  signal_count = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) sigaddset(&action.sa_mask, number);
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before[i]);
  return {};
}

void restore() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before[i], nullptr);
  // In another thread.
  while (handlers_running != 0) {
  }
  pipes = {};
}

}  // namespace

Error StopSignals::open() {
  const std::lock_guard lock(users_mutex);
  if (users == 0) {
    if (Error error = install()) {
      pipes = {};
      return error;
    }
  }
  ++users;
  is_open_ = true;
  return {};
}

StopSignals::~StopSignals() {
  if (!is_open_) return;
  const std::lock_guard lock(users_mutex);
  if (--users == 0) restore();
}

int StopSignals::count() { return signal_count; }

int StopSignals::last() { return last_signal; }

int StopSignals::first_fd() { return pipes[0].reader.get(); }

int StopSignals::second_fd() { return pipes[1].reader.get(); }

}  // namespace websockets
