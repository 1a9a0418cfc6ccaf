// SPDX-License-Identifier: MIT
#include "loop/batch_io.h"

#include <array>
#include <cerrno>
#include <limits>
#include <utility>

namespace websockets {
namespace {

constexpr std::size_t kWorthwhile = 4;

}  // namespace

// The driver "io_uring" is the best one, but serves even one channel so.
Error BatchIo::open(std::string_view driver) {
  const bool is_asked_for = driver == "io_uring";
  worthwhile_ = std::numeric_limits<std::size_t>::max();
  if (!is_asked_for && !driver.empty()) return {};
  received_.reserve(ReadyHandler::kMostReady);
  if (IoBatch::take() == nullptr && errno != EBUSY) return is_asked_for ? system_error("no io_uring") : Error{};
  worthwhile_ = is_asked_for ? 1 : kWorthwhile;
  return {};
}

void BatchIo::serve(std::span<const Ready> group) {
  static_assert(ReadyHandler::kMostReady <= IoBatch::kMost);
  // It is in use while the callbacks are called, which may serve, too.
  BorrowedBatch batch = group.size() >= worthwhile_ ? IoBatch::take() : nullptr;
  if (batch == nullptr) {
    for (const Ready& ready : group) ready.pollable->on_ready(ready.events);
    return;
  }
  std::array<bool, ReadyHandler::kMostReady> is_received{};
  for (std::size_t i = 0; i < group.size(); ++i) {
    is_received[i] = group[i].events == kReadable && group[i].pollable->takes_received();
    if (is_received[i]) batch->add_receive(group[i].pollable->fd());
  }
  const std::span<const IoResult> results = batch->run();
  received_.clear();
  delivered_ = 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (!is_received[i]) continue;
    const std::size_t number = received_.size();
    received_.push_back({group[i].pollable, results[number], batch->received(number)});
  }
  // A loop of others that a callback runs has to know of what is not delivered yet.
  if (received_.size() > 1 && watcher_.is_woken()) watcher_.wake_at(0);
  // First, as nothing more may be received for any of them before.
  deliver();
  batch.reset();
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (!is_received[i]) group[i].pollable->on_ready(group[i].events);
  }
  flush();
}

bool BatchIo::deliver() {
  const bool has_some = has_undelivered();
  while (has_undelivered()) {
    const Received& received = received_[delivered_++];
    received.pollable->on_received(received.result, received.input);
  }
  return has_some;
}

void BatchIo::cork(Channel& channel) {
  if (std::exchange(channel.is_to_be_flushed, true)) return;
  corked_.push(channel);
}

Channel& BatchIo::uncork() {
  auto& channel = static_cast<Channel&>(corked_.pop());
  channel.is_to_be_flushed = false;
  return channel;
}

void BatchIo::flush() {
  // A nested call goes on from here, and what is added meanwhile is not passed over.
  while (!corked_.empty()) {
    if (corked_.size() >= worthwhile_) {
      if (BorrowedBatch batch = IoBatch::take()) {
        flush_together(std::move(batch));
        continue;
      }
    }
    Channel& channel = uncork();
    if (channel.has_output()) channel.flush();
    channel.update_interest();
  }
}

void BatchIo::flush_together(BorrowedBatch batch) {
  std::array<Channel*, IoBatch::kMost> channels;
  std::array<bool, IoBatch::kMost> is_sent{};
  std::size_t count = 0;
  for (; count < channels.size() && !corked_.empty(); ++count) {
    Channel& channel = uncork();
    std::array<iovec, IoBatch::kMostParts> parts;
    const std::size_t part_count = channel.begin_send(parts);
    is_sent[count] = part_count > 0;
    if (is_sent[count]) batch->add_send(channel.fd(), std::span(parts).first(part_count));
    channels[count] = &channel;
  }
  const std::span<const IoResult> results = batch->run();
  std::size_t number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (is_sent[i]) channels[i]->on_sent(results[number++]);
  }
  batch.reset();
  // Only now: an outer loop that is told of a change may do anything with any of them.
  for (std::size_t i = 0; i < count; ++i) {
    if (channels[i]->has_output()) channels[i]->flush();
    channels[i]->update_interest();
  }
}

}  // namespace websockets
