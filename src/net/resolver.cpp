// SPDX-License-Identifier: MIT
#include "net/resolver.h"

#include <netdb.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>

namespace websockets {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kKept = std::chrono::minutes(10);
constexpr std::size_t kMaxNames = 4096;
// Who comes then is looked up the next time he is asked for.
constexpr std::size_t kMaxWaiting = 256;

struct Name {
  std::string text;
  Clock::time_point expires = Clock::time_point::max();  // while it is being looked up
};

// What the thread and the callers share.
struct Resolver {
  const pid_t process = ::getpid();
  std::mutex mutex;
  std::map<std::string, Name> names;  // by the numeric address
  std::deque<PeerAddress> waiting;
  bool is_running = false;
};

std::string look_up(const PeerAddress& peer) {
  const SocketAddress address = peer.socket_address();
  std::array<char, NI_MAXHOST> name{};
  const int failure = getnameinfo(address.get(), address.size, name.data(), name.size(), nullptr, 0, NI_NAMEREQD);
  return failure == 0 ? name.data() : "";
}

// A shortage of memory costs no more than a name.
void run(Resolver& resolver) {
  std::unique_lock lock(resolver.mutex);
  while (!resolver.waiting.empty()) {
    try {
      const PeerAddress peer = resolver.waiting.front();
      resolver.waiting.pop_front();
      lock.unlock();
      std::string name = look_up(peer);
      const std::string key = peer.text();
      lock.lock();
      resolver.names[key] = {std::move(name), Clock::now() + kKept};
    } catch (const std::bad_alloc&) {
      if (!lock.owns_lock()) lock.lock();
    }
  }
  resolver.is_running = false;
}

void start(Resolver& resolver) {
  // Signals are for the threads that the program knows.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([&resolver] { run(resolver); }).detach();
    resolver.is_running = true;
  } catch (const std::exception&) {
    // No thread to be had, or no memory for it: names stay unknown.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Never destroyed: a thread may outlive everything else. A forked process, which has no such thread, gets one of its
// own.
Resolver& resolver() {
  static Resolver* instance = new Resolver;
  if (instance->process != ::getpid()) instance = new Resolver;
  return *instance;
}

}  // namespace

std::string reverse_name(const PeerAddress& peer) {
  const std::string key = peer.text();
  if (key.empty()) return {};
  Resolver& shared = resolver();
  const std::lock_guard lock(shared.mutex);
  if (const auto found = shared.names.find(key); found != shared.names.end()) {
    if (Clock::now() < found->second.expires) return found->second.text;
    shared.names.erase(found);
  }
  if (shared.waiting.size() >= kMaxWaiting) return {};
  if (shared.names.size() >= kMaxNames) shared.names.clear();
  shared.waiting.push_back(peer);
  shared.names[key] = Name();
  if (!shared.is_running) start(shared);
  return {};
}

}  // namespace websockets
