// SPDX-License-Identifier: MIT
#include "cluster/worker_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include "base/clock.h"
#include "base/interrupted.h"
#include "cluster/describe_exit.h"
#include "net/stream_socket.h"
#include "server/context.h"

namespace websockets {
namespace {

constexpr std::uint64_t kNever = WorkerSlot::kNever;
constexpr std::uint64_t kLongestBeatMs = 1'000;
// A worker that was told to end and has not done so after all its time.
constexpr std::uint64_t kGraceMs = 1'000;

// Nothing but a few sockets is watched, and a forked process has nothing of it to close.
LoopOptions loop_options() {
  LoopOptions options;
  options.driver = "poll";
  return options;
}

std::vector<std::string_view> protocol_names(Context& context) {
  std::vector<std::string_view> names;
  for (const Subprotocol& subprotocol : context.hub().subprotocols()) names.push_back(subprotocol.name);
  return names;
}

}  // namespace

WorkerPool::WorkerPool(Context& context, const WorkerPoolOptions& options, WorkerPoolOwner& owner)
    : context_(context),
      options_(options),
      owner_(owner),
      loop_(loop_options(), idle_owner_),
      members_(std::max<std::size_t>(options.workers, 1)),
      neighbours_(members_.size()) {}

// Some are left only where memory was short.
WorkerPool::~WorkerPool() {
  kill_all();
  for (const Member& member : members_) {
    if (member.slot.pid() != 0) retry_interrupted([&] { return ::waitpid(member.slot.pid(), nullptr, 0); });
  }
  loop_.cancel(check_timer_);
}

Error WorkerPool::open() {
  if (Error error = context_.listeners().open_slots(context_.options(), members_.size())) return error;
  Result<std::unique_ptr<WorkerStatus>> status = WorkerStatus::create(members_.size(), protocol_names(context_));
  if (!status) return status.error();
  status_ = std::move(*status);
  Result<std::unique_ptr<WorkerRings>> rings =
      WorkerRings::create(members_.size(), context_.options().rules.max_message_bytes);
  if (!rings) return rings.error();
  rings_ = std::move(*rings);
  status_->publish(0, context_.report());  // what it has counted until now is not forgotten
  if (Error error = loop_.open()) return error;
  if (Error error = signals_.open({SIGINT, SIGTERM, SIGHUP, SIGUSR2, SIGCHLD})) return error;
  context_.listeners().suspend();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (Error error = fork_worker(i)) return error;
  }
  return {};
}

Result<WorkersEnd> WorkerPool::run() {
  Error error = open();
  if (error) {
    kill_all();
    is_ending_ = true;
  }
  check();
  while (!has_ended()) loop_.service(-1);
  signals_.close();
  if (!error && start_failures_ == members_.size()) error = start_error_;
  if (!error) {
    context_.destroy();
    return end_;
  }
  if (!context_.is_destroyed()) {
    if (Error unwatched = context_.listeners().start()) owner_.on_report(unwatched.text);
  }
  return error;
}

bool WorkerPool::has_ended() const {
  return is_ending_ &&
         std::all_of(members_.begin(), members_.end(), [](const Member& member) { return member.slot.pid() == 0; });
}

std::uint64_t WorkerPool::beat_ms() const {
  if (options_.hang_timeout_ms == 0) return kLongestBeatMs;
  return std::clamp<std::uint64_t>(options_.hang_timeout_ms / 4, 1, kLongestBeatMs);
}

std::size_t WorkerPool::number_of(const ControlChannel& channel) const {
  const auto is_it = [&](const Member& member) { return member.control.get() == &channel; };
  return static_cast<std::size_t>(std::find_if(members_.begin(), members_.end(), is_it) - members_.begin());
}

// --- Workers begin and end ---

Error WorkerPool::fork_worker(std::size_t number) {
  Member& member = members_[number];
  Result<std::array<UniqueFd, 2>> ends = make_socket_pair("no connection to a worker");
  if (!ends) return ends.error();
  auto control = std::make_unique<ControlChannel>(std::move((*ends)[0]), loop_, static_cast<ControlHandler&>(*this));
  if (!control->open()) return system_error("a worker cannot be heard");
  // What waits in stdio's buffers is to be written once.
  static_cast<void>(std::fflush(nullptr));
  ProcessSignals::Blocked blocked;
  const pid_t pid = ::fork();
  if (pid < 0) return system_error("no new process");
  if (pid == 0) {
    control->abandon();
    become_worker(number, std::move((*ends)[1]), blocked);
  }
  member.control = std::move(control);
  member.failure.clear();
  member.slot.on_forked(pid, monotonic_ms());
  status_->occupy(number, pid);
  return {};
}

// Nothing leaves it: what is on the stack belongs to the caller's script, which goes on in the supervisor.
void WorkerPool::become_worker(std::size_t number, UniqueFd control, ProcessSignals::Blocked& blocked) {
  const pid_t supervisor = ::getppid();
  int status = 1;
  try {
    signals_.abandon();
    loop_.abandon();
    for (Member& member : members_) {
      if (member.control != nullptr) member.control->abandon();
    }
    if (options_.deployment != nullptr) options_.deployment->leave();
    Worker worker(context_, *status_, *rings_, owner_, std::move(control),
                  {number, supervisor, options_.shutdown_ms, beat_ms()});
    status = worker.run(blocked);
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "websockets: worker %zu ends: %s\n", number + 1, error.what()));
  }
  static_cast<void>(std::fflush(nullptr));
  ::_exit(status);
}

void WorkerPool::reap() {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const pid_t pid = members_[i].slot.pid();
    int status = 0;
    if (pid != 0 && retry_interrupted([&] { return ::waitpid(pid, &status, WNOHANG); }) == pid) on_exit(i, status);
  }
}

void WorkerPool::on_exit(std::size_t number, int status) {
  Member& member = members_[number];
  member.control->on_ready(kReadable);  // its last words
  const std::string why = member.failure.empty() ? describe_exit(status) : std::exchange(member.failure, {});
  const bool was_first = member.slot.generation() == 1;
  member.control->close();
  loop_.dispose(std::move(member.control));
  member.slot.on_exit(monotonic_ms());
  neighbours_.forget(number);
  status_->vacate(number);
  rings_->recover(number);
  if (was_first && !was_ready_ && !is_ending_) {
    if (!start_error_) start_error_ = Error{"a worker has ended before it was ready: " + why, 0};
    is_ending_ = ++start_failures_ == members_.size();
    if (is_ending_) kill_all();
  }
  owner_.on_worker_exit(static_cast<int>(number) + 1, why);
}

void WorkerPool::replace(std::size_t number, std::uint64_t now_ms) {
  WorkerSlot& slot = members_[number].slot;
  if (is_ending_ || slot.restart_ms() > now_ms) return;
  Error error = fork_worker(number);
  if (!error) return;
  slot.on_exit(now_ms);
  owner_.on_report("worker " + std::to_string(number + 1) + " cannot be replaced yet: " + error.text);
}

void WorkerPool::kill_all() {
  for (const Member& member : members_) {
    if (member.slot.pid() != 0) ::kill(member.slot.pid(), SIGKILL);
  }
}

// --- From time to time ---

// Does what is due, and sees to it that this is called when the next is.
void WorkerPool::check() {
  reap();
  if (context_.is_destroyed()) stop();  // by a callback
  const std::uint64_t now_ms = monotonic_ms();
  for (std::size_t i = 0; i < members_.size(); ++i) replace(i, now_ms);
  if (options_.hang_timeout_ms != 0) find_hung(now_ms);
  if (!is_ending_) find_neighbours(now_ms);
  if (kill_ms_ <= now_ms) {
    kill_ms_ = kNever;
    kill_all();
  }

  std::uint64_t next_ms = options_.hang_timeout_ms == 0 ? kNever : now_ms + beat_ms();
  next_ms = std::min(next_ms, kill_ms_);
  for (std::size_t i = 0; i < members_.size() && !is_ending_; ++i) {
    next_ms = std::min(next_ms, members_[i].slot.restart_ms());
    const std::uint64_t neighbour_ms = members_[i].slot.neighbour_ms();
    // Later, somebody has it already, or nobody can: then this is called when one is ready.
    if (neighbour_ms > now_ms) next_ms = std::min(next_ms, neighbour_ms);
  }
  if (next_ms == kNever) return loop_.cancel(check_timer_);
  loop_.schedule(check_timer_, next_ms > now_ms ? next_ms - now_ms : 1);
}

void WorkerPool::find_hung(std::uint64_t now_ms) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.slot.pid() == 0) continue;
    const std::uint64_t silent_ms = member.slot.watch(status_->beats(i), now_ms, 2 * beat_ms());
    if (silent_ms < options_.hang_timeout_ms || !member.failure.empty()) continue;
    member.failure = "hung";
    ::kill(member.slot.pid(), SIGKILL);
  }
}

// Who waits in the queue of a listener whose worker is down is served by another one.
void WorkerPool::find_neighbours(std::uint64_t now_ms) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].slot.neighbour_ms() > now_ms || neighbours_.has_neighbour(i)) continue;
    if (!neighbours_.find(i, [&](std::size_t other) { return members_[other].slot.is_ready(); })) continue;
    members_[neighbours_.neighbour_of(i)].control->send({ControlMessage::Kind::kServe, static_cast<std::uint32_t>(i)});
  }
}

void WorkerPool::on_ready(std::size_t number) {
  members_[number].slot.on_ready(monotonic_ms());
  was_ready_ = true;
  if (neighbours_.has_neighbour(number)) {
    const Member& neighbour = members_[neighbours_.release(number)];
    neighbour.control->send({ControlMessage::Kind::kLeave, static_cast<std::uint32_t>(number)});
  }
  const auto is_ready = [](const Member& one) { return one.slot.is_ready(); };
  if (!was_complete_ && std::all_of(members_.begin(), members_.end(), is_ready)) {
    was_complete_ = true;
    if (options_.deployment != nullptr) options_.deployment->on_ready();
    context_.listeners().own_files();
  }
  loop_.schedule(check_timer_, 0);
}

// --- What is asked for ---

void WorkerPool::stop() {
  if (std::exchange(is_stopping_, true)) return;
  if (options_.deployment != nullptr && !is_ending_) options_.deployment->on_stopping();
  context_.listeners().stop();
  end_all({ControlMessage::Kind::kStop, static_cast<std::uint32_t>(CloseCode::kGoingAway), options_.shutdown_ms},
          options_.shutdown_ms);
}

void WorkerPool::end_all(const ControlMessage& message, std::uint64_t within_ms) {
  is_ending_ = true;
  kill_ms_ = monotonic_ms() + within_ms + kGraceMs;
  for (const Member& member : members_) {
    if (member.control != nullptr) member.control->send(message);
  }
  loop_.schedule(check_timer_, 0);
}

void WorkerPool::reload_certificates() {
  if (!context_.options().tls.enabled()) return;
  if (options_.deployment != nullptr) options_.deployment->on_reloading();
  if (Error error = context_.reload_certificates()) {
    owner_.on_report("the certificates stay as they were: " + error.text);
  } else {
    for (const Member& member : members_) {
      if (member.control != nullptr) member.control->send({ControlMessage::Kind::kReload});
    }
  }
  if (options_.deployment != nullptr) options_.deployment->on_ready();
}

void WorkerPool::on_message(ControlChannel& channel, const ControlMessage& message) {
  using Kind = ControlMessage::Kind;
  const std::size_t number = number_of(channel);
  if (number == members_.size()) return;
  Member& member = members_[number];
  const std::string name = "worker " + std::to_string(number + 1);
  switch (message.kind) {
    case Kind::kReady:
      return on_ready(number);
    case Kind::kEnding:
      member.slot.on_ending(monotonic_ms());
      neighbours_.forget(number);
      return loop_.schedule(check_timer_, 0);
    case Kind::kFailed:
      member.failure = "failed: " + message.text;
      if (!start_error_) start_error_ = {message.text, static_cast<int>(message.number)};
      return;
    case Kind::kReloadFailed:
      return owner_.on_report("the certificates of " + name + " stay as they were: " + message.text);
    case Kind::kStopAll:
      return stop();
    case Kind::kStop:
    case Kind::kDrain:
    case Kind::kReload:
    case Kind::kServe:
    case Kind::kLeave:
      return;
  }
}

void WorkerPool::on_signal(int number, int count) {
  switch (number) {
    case SIGCHLD:
      return check();
    case SIGHUP:
      return reload_certificates();
    case SIGUSR2:
      if (options_.deployment == nullptr || is_ending_) return;
      if (Error error = options_.deployment->start(context_.listeners(), loop_, *this)) owner_.on_report(error.text);
      return;
    default:
      break;
  }
  for (int i = 0; i < count; ++i) {
    end_.was_cut_short = end_.signal != 0;
    end_.signal = number;
    if (end_.was_cut_short) return kill_all();
    stop();
  }
}

void WorkerPool::on_new_version_ready() {
  if (is_ending_) return;
  context_.listeners().abandon();
  end_all({ControlMessage::Kind::kDrain, static_cast<std::uint32_t>(CloseCode::kServiceRestart), options_.drain_ms},
          options_.drain_ms + options_.shutdown_ms);
}

}  // namespace websockets
