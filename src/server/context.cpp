// SPDX-License-Identifier: MIT
#include "server/context.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <limits>
#include <new>
#include <utility>

#include "base/clock.h"
#include "net/listener.h"
#include "server/acceptor.h"
#include "server/http_exchange.h"
#include "server/privileges.h"

namespace websockets {

Context::Context(const ContextOptions& options, Handler& handler)
    : options_(options),
      contents_{options.max_body_memory_bytes},
      handler_(handler),
      owner_(::getpid()),
      watcher_(*this, options.announces_descriptors ? &handler : nullptr, options.announces_one,
               options.driver == "io_uring" ? "epoll" : options.driver),
      now_ms_(monotonic_ms()),
      timers_(now_ms_),
      memory_(options.max_memory_bytes),
      output_pool_(memory_),
      admission_(options.max_connections, options.max_connections_per_address, options_.trusted_proxies),
      rates_(options.max_message_rate),
      hub_(options_, *this, memory_),
      rules_{options_, stats_, output_pool_, memory_, admission_, refusals_, hub_} {
  if (options.compression) compression_ = std::make_unique<CompressionPool>(*options.compression);
  rules_.compression = compression_.get();
  options_.request_limits.contents = &contents_;
  options_.rules.partial_messages = &partial_messages_;
}

Result<std::unique_ptr<Context>> Context::create(const ContextOptions& options, Handler& handler) {
  std::unique_ptr<Context> context(new Context(options, handler));
  if (Error error = context->open()) return error;
  return context;
}

Error Context::open() {
  if (options_.tls.enabled()) {
    if (Error error = reload_certificates()) return error;
  }
  if (Error error = find_batch()) return error;
  if (Error error = watcher_.open()) return error;
  if (Error error = listen()) return error;
  return drop_privileges(options_.uid, options_.gid);
}

Context::~Context() { destroy(); }

Error Context::reload_certificates() {
  if (!options_.tls.enabled()) return {"there is no certificate"};
  if (is_served_elsewhere()) return {"a forked process serves this context"};
  Result<std::unique_ptr<TlsServerContext>> loaded = TlsServerContext::create(options_.tls, tls_.get());
  if (!loaded) return loaded.error();
  tls_ = std::move(*loaded);
  return {};
}

Error Context::listen() {
  const auto add = [&](Result<std::vector<Listener>> opened) {
    if (!opened) return opened.error();
    for (Listener& listener : *opened) {
      acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(listener)));
    }
    return Error{};
  };
  if (options_.port != 0) {
    Error error = add(listen_on_interface(options_.interface, options_.port, options_.listen_options));
    if (error) return error;
  }
  for (const std::string& where : options_.listen) {
    Error error = add(listen_at(where, options_.listen_options));
    if (error) return error;
  }
  for (const auto& acceptor : acceptors_) {
    if (!acceptor->start()) return system_error("the listener cannot be watched");
  }
  return {};
}

void Context::adopt(UniqueFd fd, const SocketAddress& peer) {
  // What stays on this machine needs none.
  const bool is_tls = tls_ != nullptr && !peer.is_unix();
  const PeerAddress address(peer);
  ++stats_.connections;
  const AdmissionVerdict verdict = admission_.check(address);
  // It cannot be told before the TLS handshake.
  if (is_tls && verdict != AdmissionVerdict::kAdmitted) return refuse(reason_of(verdict), {&address});
  SslSession session = is_tls ? tls_->new_session(fd.get()) : nullptr;
  auto owner = std::make_unique<Connection>(*this, Stream(std::move(fd), std::move(session)), address);
  Connection& connection = *owner;
  http_connections_.push_back(*owner.release());
  ++connection_count_;
  try {
    connection.start();
  } catch (const std::bad_alloc&) {
    connection.terminate();
    throw;
  }
}

bool Context::report_refusals() {
  const std::vector<Refusal> refusals = refusals_.take();
  for (const Refusal& refusal : refusals) {
    if (!destroyed_) handler_.on_refused(refusal);
  }
  return !refusals.empty();
}

// --- Serving ---

void Context::service(int timeout_ms) {
  if (is_served_elsewhere()) {  // nothing happens here, and a signal ends the wait
    static_cast<void>(::poll(nullptr, 0, timeout_ms));
    return;
  }
  now_ms_ = monotonic_ms();
  const std::uint64_t deadline_ms =
      timeout_ms < 0 ? std::numeric_limits<std::uint64_t>::max() : now_ms_ + static_cast<std::uint64_t>(timeout_ms);
  if (!watcher_.has_own_loop() && open_own_loop(false)) return;
  while (!destroyed_ && !serve_once(wait_ms(deadline_ms)) && now_ms_ < deadline_ms) {
  }
}

// In a context that announces its descriptors, or whose driver is exchanged: everything has to be watched anew. If not
// everything can be, nothing is, until it is asked for again.
Error Context::open_own_loop(bool pollable_driver) {
  if (Error error = watcher_.open_own_loop(pollable_driver)) return error;
  bool watched = true;
  for (const auto& acceptor : acceptors_) watched = acceptor->restart(watcher_) && watched;
  for_each_connection([&](Connection& connection) { watched = connection.restart(watcher_) && watched; });
  for (Pollable* pollable : internal_) watched = watcher_.watch_in_own_loop(*pollable, kReadable) && watched;
  if (watched) return {};
  Error error = system_error("not everything can be watched");
  watcher_.close_own_loop();
  return error;
}

bool Context::watch_internal(Pollable& pollable) {
  internal_.push_back(&pollable);
  if (watcher_.watch_in_own_loop(pollable, kReadable)) return true;
  internal_.pop_back();
  return false;
}

void Context::unwatch_internal(Pollable& pollable) {
  if (std::erase(internal_, &pollable) > 0) watcher_.unwatch_in_own_loop(pollable);
}

Result<int> Context::poll_descriptor() {
  if (watcher_.own_loop_fd() < 0 || !watcher_.is_woken()) {
    if (Error error = open_own_loop(true)) return error;
    set_wake_time();
  }
  return watcher_.own_loop_fd();
}

int Context::idle_ms() {
  now_ms_ = monotonic_ms();
  return wait_ms(std::numeric_limits<std::uint64_t>::max());
}

Context::DescriptorStatus Context::service_descriptor(int fd) {
  const Round round(*this);
  // There is no other sign of a round of the outer loop while nobody has a turn.
  const std::uint64_t before_ms = std::exchange(now_ms_, monotonic_ms());
  if (now_ms_ != before_ms) begin_round();
  const bool is_own_loop = fd >= 0 && fd == watcher_.own_loop_fd();
  const bool is_internal = is_own_loop || (fd >= 0 && fd == watcher_.internal_fd());
  Pollable* const pollable = find_descriptor(fd);
  if (!is_internal && pollable == nullptr) return DescriptorStatus::kServed;

  deliver_received();
  if (is_own_loop) {
    watcher_.serve(0);
  } else if (is_internal) {
    watcher_.serve_internal();
  } else {
    ++served_;
    pollable->on_ready(kReadable | kWritable);
  }
  serve_timers_and_work();
  // Once in a round of the outer loop, which finds the internal descriptor readable while there is one.
  if (is_internal) take_turns();
  handler_.on_served();
  if (is_internal) return DescriptorStatus::kServed;
  for (const auto& acceptor : acceptors_) {
    if (acceptor.get() != pollable) continue;
    return acceptor->failed() ? DescriptorStatus::kAcceptFailed : DescriptorStatus::kServed;
  }
  return pollable->fd() < 0 ? DescriptorStatus::kClosed : DescriptorStatus::kServed;
}

// How long to wait at most: until the deadline, the next timer, or not at all when there is something to do.
int Context::wait_ms(std::uint64_t deadline_ms) {
  if (has_something_to_do()) return 0;
  std::uint64_t wait = deadline_ms == std::numeric_limits<std::uint64_t>::max() ? deadline_ms
                       : deadline_ms > now_ms_                                  ? deadline_ms - now_ms_
                                                                                : 0;
  const std::int64_t idle_ms = timers_.idle_ms();
  if (idle_ms >= 0) {
    const std::uint64_t due_ms = timers_.now_ms() + static_cast<std::uint64_t>(idle_ms);
    wait = std::min(wait, due_ms > now_ms_ ? due_ms - now_ms_ : 0);
  }
  if (wait == std::numeric_limits<std::uint64_t>::max()) return -1;
  return static_cast<int>(std::min<std::uint64_t>(wait, std::numeric_limits<int>::max()));
}

// Returns whether something was done, or the wait was interrupted.
bool Context::serve_once(int timeout_ms) {
  const Round round(*this);
  const bool delivered = deliver_received();
  const bool served = watcher_.serve(delivered ? 0 : timeout_ms);
  const bool worked = serve_timers_and_work();
  const bool had_turns = take_turns();
  end_shutdown();
  handler_.on_served();
  return worked || had_turns || served || delivered;
}

bool Context::serve_timers_and_work() {
  if (destroyed_) return true;
  now_ms_ = monotonic_ms();
  const bool timed_out = timers_.advance(now_ms_) > 0;
  flush_connections();
  enforce_memory_limit();
  const bool reported = report_refusals();
  return run_deferred() || reported || timed_out;
}

// Another loop has to know when the context has something to do of its own accord.
void Context::set_wake_time() {
  if (!watcher_.is_woken() || destroyed_) return;
  if (has_something_to_do()) return watcher_.wake_at(0);
  const std::int64_t idle_ms = timers_.idle_ms();
  if (idle_ms >= 0) watcher_.wake_at(timers_.now_ms() + static_cast<std::uint64_t>(idle_ms));
}

// Not counted from the time of the round: it is long ago when an outer loop calls.
void Context::schedule(Timer& timer, std::uint64_t timeout_ms) { schedule_at(timer, monotonic_ms() + timeout_ms); }

void Context::schedule_at(Timer& timer, std::uint64_t time_ms) {
  timers_.schedule(timer, time_ms);
  if (depth_ == 0) set_wake_time();
}

void Context::register_descriptor(Pollable& pollable) {
  const auto index = static_cast<std::size_t>(pollable.fd());
  if (index >= descriptors_.size()) descriptors_.resize(std::max(index + 1, descriptors_.size() * 2));
  descriptors_[index] = &pollable;
}

void Context::forget_descriptor(const Pollable& pollable) {
  const auto index = static_cast<std::size_t>(pollable.fd());
  if (index < descriptors_.size()) descriptors_[index] = nullptr;
}

Pollable* Context::find_descriptor(int fd) const {
  const auto index = static_cast<std::size_t>(fd);
  return fd >= 0 && index < descriptors_.size() ? descriptors_[index] : nullptr;
}

void Context::terminate(int fd, std::uint32_t serial) {
  auto* const connection = dynamic_cast<Connection*>(find_descriptor(fd));
  if (connection != nullptr && static_cast<std::uint32_t>(connection->serial()) == serial) connection->terminate();
}

void Context::end_round() {
  enforce_memory_limit();
  flush_connections();  // last: its list must be empty when what is closed is freed
  free_closed();
  end_shutdown();
  if (destroyed_) return watcher_.release();
  set_wake_time();
}

void Context::note_sent(std::size_t bytes) {
  stats_.bytes_sent += bytes;
  sent_bytes_ += bytes;
}

// What leaves at once does not count.
void Context::enforce_memory_limit() {
  if (!memory_.is_above_high_watermark()) return;
  flush_connections();
  try {
    if (memory_.is_above_high_watermark()) shed_largest();
  } catch (const std::bad_alloc&) {  // there will be another time
  }
}

// Many small ones in one go, so that it takes little time for each of them.
void Context::shed_largest() {
  std::vector<std::pair<std::size_t, Connection*>> sizes;
  for_each_connection([&](Connection& connection) {
    if (const std::size_t bytes = connection.held_bytes(); bytes > 0) sizes.emplace_back(bytes, &connection);
  });
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  for (const auto& [bytes, connection] : sizes) {
    if (memory_.is_below_low_watermark() || destroyed_) return;
    connection->give_up();
  }
}

void Context::free_closed() {
  if (!std::exchange(has_closed_, false)) return;
  const auto is_closed = [](const Connection& connection) { return connection.state_ == Connection::State::kClosed; };
  turns_.remove_if(is_closed);
  inflating_.remove_if(is_closed);
  with_work_.remove_if([&](Connection& connection) {
    if (is_closed(connection)) closed_.push(connection);
    return is_closed(connection);
  });
  while (!closed_.empty()) free(closed_.pop());
}

void Context::free(Connection& connection) {
  const std::unique_ptr<Connection> owner(&connection);
  if (connection.serial() == 0) {
    http_connections_.remove(connection);
  } else {
    hub_.remove(connection);
  }
  if (connection.user != nullptr) handler_.on_freed(connection);
}

void Context::cork(Connection& connection) {
  if (connection.to_flush_) return;
  to_flush_.push(connection);
  connection.to_flush_ = true;
}

void Context::free_later(Connection& connection) {
  has_closed_ = true;
  if (connection.has_work_) return;
  closed_.push(connection);
  connection.has_work_ = true;
}

std::unique_ptr<Context::ReceiveBuffer> Context::borrow_receive_buffer() {
  // Nested calls of service take one of their own.
  if (spare_receive_buffer_ != nullptr) return std::move(spare_receive_buffer_);
  return std::unique_ptr<ReceiveBuffer>(new ReceiveBuffer);  // not cleared
}

void Context::give_back(std::unique_ptr<ReceiveBuffer> buffer) { spare_receive_buffer_ = std::move(buffer); }

const SocketAddress& Context::address(std::size_t listener) const { return acceptors_[listener]->address(); }

// --- For the hub ---

WriteStatus Context::send(Receiver& receiver, PreparedMessage& message) {
  return static_cast<Connection&>(receiver).send(message);
}

bool Context::on_broadcast(Receiver& receiver, std::span<const std::uint8_t> data) {
  auto& connection = static_cast<Connection&>(receiver);
  return !connection.is_open() || handler_.on_broadcast(connection, data);
}

void Context::defer_failure(Receiver& receiver, CloseCode code) {
  static_cast<Connection&>(receiver).defer_failure(code);
}

// --- The end ---

void Context::destroy() {
  if (owner_ == ::getpid() && !is_served_elsewhere()) report_refusals();
  if (std::exchange(destroyed_, true)) return;
  const Round round(*this);
  // An inherited copy: the connections, and a child of its own, are the other process's.
  if (owner_ != ::getpid()) {
    watcher_.abandon();
    end_backplane();
    return abandon();
  }
  if (is_served_elsewhere()) {
    backplane_->finish();
    return end_backplane();
  }
  for (const auto& acceptor : acceptors_) acceptor->stop();
  for_each_connection([](Connection& connection) { connection.destroy(CloseCode::kGoingAway); });
  watcher_.close();
}

void Context::leave_to(std::unique_ptr<Backplane> backplane) {
  const Round round(*this);
  backplane_ = std::move(backplane);
  hub_.set_backplane(backplane_.get());
  abandon();
  watcher_.close();
  watcher_.abandon();
}

Error Context::take_over() {
  owner_ = ::getpid();
  depth_ = 0;
  // The parent's drivers are shared with it: what is changed there is changed for both.
  watcher_.abandon();
  return open_own_loop(false);
}

void Context::end_backplane() {
  hub_.set_backplane(nullptr);
  backplane_.reset();
}

void Context::abandon() {
  refusals_.take();
  for (const auto& acceptor : acceptors_) acceptor->abandon();
  for_each_connection([](Connection& connection) { connection.abandon(); });
}

}  // namespace websockets
