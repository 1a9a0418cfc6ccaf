// SPDX-License-Identifier: MIT
// The part of a context that serves several connections by one system call. When few are ready it is not worth while.
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "net/io_batch.h"
#include "server/context.h"

namespace websockets {
namespace {

constexpr std::size_t kWorthwhile = 4;

}  // namespace

// The driver "io_uring" is the best one, but serves even one connection so.
Error Context::find_batch() {
  const bool is_asked_for = options_.driver == "io_uring";
  batch_from_ = std::numeric_limits<std::size_t>::max();
  if (!is_asked_for && !options_.driver.empty()) return {};
  received_.reserve(kMostReady);
  if (IoBatch::take() == nullptr && errno != EBUSY) return is_asked_for ? system_error("no io_uring") : Error{};
  batch_from_ = is_asked_for ? 1 : kWorthwhile;
  return {};
}

void Context::on_ready(std::span<const Ready> group) {
  static_assert(kMostReady <= IoBatch::kMost);
  now_ms_ = monotonic_ms();  // it has waited
  served_ += group.size();
  // It is in use while the callbacks are called, which may serve, too.
  BorrowedBatch batch = group.size() >= batch_from_ ? IoBatch::take() : nullptr;
  if (batch == nullptr) {
    for (const Ready& ready : group) ready.pollable->on_ready(ready.events);
    return enforce_memory_limit();
  }
  std::array<bool, kMostReady> is_received{};
  for (std::size_t i = 0; i < group.size(); ++i) {
    is_received[i] = group[i].events == kReadable && group[i].pollable->takes_received();
    if (is_received[i]) batch->add_receive(group[i].pollable->fd());
  }
  const std::span<const IoResult> results = batch->run();
  received_.clear();
  delivered_ = 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (is_received[i]) {
      const std::size_t number = received_.size();
      received_.push_back({group[i].pollable, results[number], batch->received(number)});
    }
  }
  // A loop of others that a callback runs has to know of what is not delivered yet.
  if (received_.size() > 1 && watcher_.is_woken()) watcher_.wake_at(0);
  // First, as nothing more may be received for any of them before.
  deliver_received();
  batch.reset();
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (!is_received[i]) group[i].pollable->on_ready(group[i].events);
  }
  flush_connections();
  enforce_memory_limit();
}

// The place is a member, so that a nested call goes on from here: a callback may wait for what another one was sent.
bool Context::deliver_received() {
  const bool has_some = has_undelivered();
  while (has_undelivered()) {
    const Received& received = received_[delivered_++];
    received.pollable->on_received(received.result, received.input);
  }
  return has_some;
}

void Context::flush_connections() {
  // A nested call goes on from here, and what is added meanwhile is not passed over.
  while (!to_flush_.empty()) {
    if (to_flush_.size() >= batch_from_) {
      if (BorrowedBatch batch = IoBatch::take()) {
        flush_batch(std::move(batch));
        continue;
      }
    }
    Connection& connection = to_flush_.pop();
    connection.to_flush_ = false;
    if (connection.has_output()) connection.flush();
    connection.update_interest();
  }
}

void Context::flush_batch(BorrowedBatch batch) {
  std::array<Connection*, IoBatch::kMost> connections;
  std::array<bool, IoBatch::kMost> is_sent{};
  std::size_t count = 0;
  for (; count < connections.size() && !to_flush_.empty(); ++count) {
    Connection& connection = to_flush_.pop();
    connection.to_flush_ = false;
    std::array<iovec, IoBatch::kMostParts> parts;
    const std::size_t part_count = connection.begin_send(parts);
    is_sent[count] = part_count > 0;
    if (is_sent[count]) batch->add_send(connection.fd(), std::span(parts).first(part_count));
    connections[count] = &connection;
  }
  const std::span<const IoResult> results = batch->run();
  std::size_t number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (is_sent[i]) connections[i]->on_sent(results[number++]);
  }
  batch.reset();
  // Only now: an outer loop that is told of a change may do anything with any of them.
  for (std::size_t i = 0; i < count; ++i) {
    if (connections[i]->has_output()) connections[i]->flush();
    connections[i]->update_interest();
  }
}

}  // namespace websockets
