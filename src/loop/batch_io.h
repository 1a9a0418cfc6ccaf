// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/intrusive.h"
#include "base/result.h"
#include "loop/channel.h"
#include "loop/watcher.h"
#include "net/driver.h"
#include "net/io_batch.h"

namespace websockets {

// Serves several channels by one system call, where that is worth while: receives for those that are ready, and, at the
// end of a batch, sends what was written meanwhile (the cork).
//
// All places are members, so that a nested call, within a callback, goes on where the outer one is: a callback may wait
// for what another one was sent.
class BatchIo {
 public:
  // `watcher` is woken when a nested loop has to know of what is not delivered yet.
  explicit BatchIo(Watcher& watcher) : watcher_(watcher) {}

  // `driver` is what was asked for: "io_uring" serves even one channel so, "" those that are enough for it, any other
  // none. Error: it was asked for, and the system has none.
  Error open(std::string_view driver);

  // Has everything served that is ready.
  void serve(std::span<const Ready> group);
  // Delivers what was received and is not delivered yet. Returns whether there was any.
  bool deliver();
  bool has_undelivered() const { return delivered_ < received_.size(); }

  // The channel's output leaves with the next flush().
  void cork(Channel& channel);
  bool has_corked() const { return !corked_.empty(); }
  void flush();

 private:
  struct Received {
    Pollable* pollable;
    IoResult result;
    std::span<std::uint8_t> input;
  };

  Channel& uncork();
  void flush_together(BorrowedBatch batch);

  Watcher& watcher_;
  std::size_t worthwhile_ = 0;      // so many channels have to be ready
  std::vector<Received> received_;  // by the batch that is in use
  std::size_t delivered_ = 0;       // of received_
  IntrusiveQueue<ChannelPlaces, &ChannelPlaces::next_to_flush> corked_;
};

}  // namespace websockets
