// SPDX-License-Identifier: MIT
#include "net/resolver.h"

#include <netdb.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "net/background_task.h"

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
struct Resolver final : BackgroundTask {
  void run() noexcept override;

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
void Resolver::run() noexcept {
  std::unique_lock lock(mutex);
  while (!waiting.empty()) {
    try {
      const PeerAddress peer = waiting.front();
      waiting.pop_front();
      lock.unlock();
      std::string name = look_up(peer);
      const std::string key = peer.text();
      lock.lock();
      names[key] = {std::move(name), Clock::now() + kKept};
    } catch (const std::bad_alloc&) {
      if (!lock.owns_lock()) lock.lock();
    }
  }
  is_running = false;
}

// Never destroyed: a thread may outlive everything else. A forked process, which has no such thread, gets one of its
// own.
const std::shared_ptr<Resolver>& resolver() {
  static auto* instance = new std::shared_ptr(std::make_shared<Resolver>());
  if ((*instance)->process != ::getpid()) instance = new std::shared_ptr(std::make_shared<Resolver>());
  return *instance;
}

}  // namespace

std::string reverse_name(const PeerAddress& peer) {
  const std::string key = peer.text();
  if (key.empty()) return {};
  const std::shared_ptr<Resolver>& instance = resolver();
  Resolver& shared = *instance;
  const std::lock_guard lock(shared.mutex);
  if (const auto found = shared.names.find(key); found != shared.names.end()) {
    if (Clock::now() < found->second.expires) return found->second.text;
    shared.names.erase(found);
  }
  if (shared.waiting.size() >= kMaxWaiting) return {};
  if (shared.names.size() >= kMaxNames) shared.names.clear();
  shared.waiting.push_back(peer);
  shared.names[key] = Name();
  // Where no thread can be had, names stay unknown.
  if (!shared.is_running) shared.is_running = !run_in_background(instance);
  return {};
}

}  // namespace websockets
