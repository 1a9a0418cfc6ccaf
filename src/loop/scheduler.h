// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/budget.h"
#include "base/intrusive.h"

namespace websockets {

// Something that has more to do by and by, and shares the thread with others. A Scheduler keeps its place here.
class Flow {
 public:
  // It took all that it was given, and more is to come: it waits for its quantum whenever it has something to do. Else
  // it is sparse, and served at once (RFC 8290 4.2).
  bool is_bulk() const { return is_bulk_ || deficit_ < 0; }
  void set_bulk(bool is_bulk) { is_bulk_ = is_bulk; }

 private:
  template <typename T>
  friend class Scheduler;  // the container, and what lies in it

  enum class Lane : std::uint8_t { kNone, kBulk, kExclusive };

  ListLink<Flow> link_;
  std::int32_t deficit_ = 0;  // below 0: what it has spent beyond its quantum
  Lane lane_ = Lane::kNone;
  bool is_bulk_ = false;
};

// Decides who is served now, and for how long: deficit round robin (Shreedhar and Varghese 1995), in which sparse flows
// come first, as in the FQ-CoDel of RFC 8290 4.1. It knows costs in the unit of Budget, no sockets and no clock.
//
// In a round every sparse flow that is ready is served at once, by a share of what the round has for all of them; then
// one bulk flow has a quantum, and one more for each 64 flows that were served, so that neither kind starves the other.
// What a flow spends beyond its quantum, because it cannot be divided, it pays back in the rounds that follow.
template <typename T>  // derives from Flow
class Scheduler {
 public:
  // For all sparse flows of a round together; then each is given less.
  static constexpr std::uint32_t kRoundBudget = 2 * kQuantum;
  // At least this for each of them: what a short message takes.
  static constexpr std::uint32_t kLeastShare = kQuantum / 5;
  static constexpr std::size_t kServedPerQuantum = 64;
  // How much of a kernel's time it takes to send bytes: 256 KiB are a quantum.
  static constexpr std::size_t kSentBytesPerUnit = 52;

  // What a sparse flow may spend now; charged to the round, and to the flow, when this ends.
  class Share {
   public:
    Share(Scheduler& scheduler, T& flow)
        : budget(std::clamp(scheduler.round_.left(), kLeastShare, kQuantum)),
          scheduler_(scheduler),
          flow_(flow),
          given_(budget.left()) {}
    ~Share() {
      scheduler_.round_.spend(given_ - budget.left() + budget.overdraft());
      scheduler_.owe(flow_, budget);
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    Budget budget;

   private:
    Scheduler& scheduler_;
    T& flow_;
    std::uint32_t given_;
  };

  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The flow waits for a quantum behind the other bulk flows. Does nothing when it waits already; one that waits in the
  // exclusive lane leaves that, and has to be put there again when it had this quantum.
  void enqueue(T& flow) {
    if (flow.lane_ == Flow::Lane::kBulk) return;
    leave(flow);
    bulk_.push_back(flow);
    flow.lane_ = Flow::Lane::kBulk;
  }
  // The flow waits for a quantum in the lane of what only one flow may be in the midst of, such as decompressing a
  // large message: the first one that had a quantum there is the holder, for which all others wait until it is through.
  void enqueue_exclusive(T& flow) {
    if (flow.lane_ != Flow::Lane::kNone) return;
    if (&flow == holder_) {
      exclusive_.push_front(flow);
    } else {
      exclusive_.push_back(flow);
    }
    flow.lane_ = Flow::Lane::kExclusive;
  }
  // The flow ends, whether it waits or not.
  void remove(T& flow) {
    leave(flow);
    if (holder_ == &flow) holder_ = nullptr;
  }

  bool is_queued(const T& flow) const { return flow.lane_ != Flow::Lane::kNone; }
  bool has_queued() const { return !bulk_.empty() || !exclusive_.empty(); }

  // The output of all flows together: once has_sent_much(), a flow with much to be sent waits for its quantum. What
  // bulk flows send in their part of a round leaves so much less for whoever is ready in the next one.
  void charge_sent(std::size_t bytes) { sent_.spend(bytes / kSentBytesPerUnit); }
  // A send took as long as a quantum, however few its bytes were.
  void charge_slow_send() { sent_.spend(kQuantum); }
  bool has_sent_much() const { return sent_.is_spent(); }

  void begin_round() {
    round_ = Budget(kRoundBudget);
    sent_ = Budget(kQuantum);
  }
  // The bulk flows' part of a round, after `served` sparse ones. Calls `run(flow, budget, is_exclusive)` for each flow
  // that has a quantum; `run` may call anything here, this function included, and returns whether the flow waits for
  // the exclusive lane, or is its holder still. Returns whether any had a quantum.
  template <typename Run>
  bool run_round(std::size_t served, Run run) {
    begin_round();
    if (!has_queued()) return false;
    for (std::size_t left = std::min(1 + served / kServedPerQuantum, bulk_.size()); left > 0 && !bulk_.empty();
         --left) {
      visit(bulk_, false, run);
    }
    // While the holder has a quantum for something else, nobody else may begin.
    if (!exclusive_.empty() && (holder_ == nullptr || exclusive_.first() == holder_)) visit(exclusive_, true, run);
    return true;
  }

 private:
  using List = IntrusiveList<Flow, &Flow::link_>;

  template <typename Run>
  void visit(List& list, bool is_exclusive, Run& run) {
    T& flow = static_cast<T&>(list.pop_front());
    flow.lane_ = Flow::Lane::kNone;
    const std::int32_t deficit = std::exchange(flow.deficit_, 0) + static_cast<std::int32_t>(kQuantum);
    if (is_exclusive) holder_ = &flow;
    if (deficit <= 0) {
      flow.deficit_ = deficit;
      return is_exclusive ? enqueue_exclusive(flow) : enqueue(flow);
    }
    // A round within `run` must not wait for the flow that it is in.
    const bool was_holder = holder_ == &flow;
    if (was_holder) holder_ = nullptr;
    Budget budget(static_cast<std::uint32_t>(deficit));
    const bool is_in_midst = run(flow, budget, is_exclusive) && flow.lane_ != Flow::Lane::kNone;
    owe(flow, budget);
    if (was_holder && is_in_midst && holder_ == nullptr) hold(flow);
  }
  void hold(T& flow) {
    holder_ = &flow;
    if (flow.lane_ != Flow::Lane::kExclusive) return;
    exclusive_.remove(flow);
    exclusive_.push_front(flow);
  }
  void leave(T& flow) {
    if (flow.lane_ == Flow::Lane::kBulk) bulk_.remove(flow);
    if (flow.lane_ == Flow::Lane::kExclusive) exclusive_.remove(flow);
    flow.lane_ = Flow::Lane::kNone;
  }
  void owe(T& flow, const Budget& budget) {
    constexpr std::uint32_t kMostDebt = 1000 * kQuantum;
    flow.deficit_ -= static_cast<std::int32_t>(std::min(budget.overdraft(), kMostDebt));
  }

  List bulk_;
  List exclusive_;
  T* holder_ = nullptr;  // of exclusivity
  Budget round_{kRoundBudget};
  Budget sent_{kQuantum};
};

}  // namespace websockets
