// SPDX-License-Identifier: MIT
#include "cluster/worker_backplane.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "cluster/delivery_budget.h"
#include "cluster/hub_message.h"
#include "cluster/worker_rings.h"
#include "loop/loop.h"
#include "server/hub.h"

namespace websockets {

// It begins awake, since the worker that had the slot before may have been woken, and has not looked.
WorkerBackplane::WorkerBackplane(WorkerRings& rings, std::size_t slot, Hub& hub, Loop& loop,
                                 WorkerBackplaneOwner& owner)
    : Pollable(rings.wake_fd(slot)),
      rings_(rings),
      slot_(slot),
      hub_(hub),
      loop_(loop),
      owner_(owner),
      has_more_(rings.count() > 1) {
  for (std::size_t other = 0; other < rings.count(); ++other) {
    if (other != slot) sources_.push_back({other, BroadcastRing::Reader(rings.ring(other))});
  }
}

WorkerBackplane::~WorkerBackplane() {
  if (!is_open_) return;
  hub_.set_backplane(nullptr);
  loop_.unwatch_internal(*this);
}

bool WorkerBackplane::open() {
  is_open_ = loop_.watch_internal(*this);
  if (is_open_) hub_.set_backplane(this);
  return is_open_;
}

// --- To the others ---

DeliveryStatus WorkerBackplane::send(const HubMessage& message) {
  if (!rings_.ring(slot_).write({message.tag, as_bytes(message.topic), message.data})) return DeliveryStatus::kTooLarge;
  rings_.wake_others(slot_);
  return DeliveryStatus::kDelivered;
}

DeliveryStatus WorkerBackplane::broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) {
  return send(HubMessage::broadcast(subprotocol, data));
}

DeliveryStatus WorkerBackplane::publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) {
  return send(HubMessage::publish(topic, opcode, data));
}

// --- From the others ---

// The descriptor stays readable until there is nothing to deliver, so that the clients do not wait for that system
// call. But when the loop comes here again, a callback may be serving it, and nothing is delivered before that returns.
void WorkerBackplane::on_ready(unsigned /*events*/) {
  if (is_readable_) rings_.clear_wake(slot_);
  is_readable_ = !is_readable_;
  has_more_ = !sources_.empty();
}

void WorkerBackplane::deliver() {
  if (!has_more_ || loop_.in_round()) return;
  has_more_ = deliver_within_budget() || wait_for_more();
}

// True: there may be more. All of it in one round, so that what a client is sent of it leaves by one system call.
bool WorkerBackplane::deliver_within_budget() {
  const Loop::Round round(loop_);
  DeliveryBudget budget;
  std::size_t idle_sources = 0;  // in a row
  while (idle_sources < sources_.size()) {
    if (budget.is_spent() || loop_.is_stopped()) return true;
    Source& source = sources_[next_source_];
    next_source_ = (next_source_ + 1) % sources_.size();
    idle_sources = deliver_next(source, budget) ? 0 : idle_sources + 1;
  }
  return false;
}

// True: something has come in the meantime, for which nobody wakes this worker.
bool WorkerBackplane::wait_for_more() {
  if (std::exchange(is_readable_, false)) rings_.clear_wake(slot_);
  rings_.await_wake(slot_);
  return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) { return source.reader.has_more(); });
}

// False: there is nothing. Where memory is short, what was to be delivered is lost, as if it had been overwritten.
bool WorkerBackplane::deliver_next(Source& source, DeliveryBudget& budget) {
  using Status = BroadcastRing::Reader::Status;
  Status status{};
  try {
    BroadcastRing::Record record;
    status = source.reader.read(copy_, record);
    if (status == Status::kNone) return false;
    budget.spend(record.head.size() + record.body.size());
    if (status == Status::kRecord) HubMessage{record.tag, as_text(record.head), record.body}.deliver(hub_);
  } catch (const std::bad_alloc&) {
    source.reader.skip();
    status = Status::kGap;
  }
  if (status == Status::kGap) owner_.on_gap(source.slot);
  return true;
}

}  // namespace websockets
