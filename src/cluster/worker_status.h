// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/stats.h"

namespace websockets {

// What workers tell of themselves, in memory that all of them and their supervisor share: for each slot a page that its
// worker writes to and everybody reads. Made before the first of them is forked.
class WorkerStatus {
 public:
  // The names are of the subprotocols, in the order of StatsReport::protocols; they outlive it.
  static Result<std::unique_ptr<WorkerStatus>> create(std::size_t count, std::vector<std::string_view> protocols);
  ~WorkerStatus();
  WorkerStatus(const WorkerStatus&) = delete;
  WorkerStatus& operator=(const WorkerStatus&) = delete;

  std::size_t count() const { return count_; }

  // --- The worker of a slot ---

  // Its loop turns.
  void beat(std::size_t slot);
  // Whether it takes new connections; at first it does not.
  void set_accepting(std::size_t slot, bool is_accepting);
  // It has so many connections now.
  void set_connections(std::size_t slot, std::size_t connections);
  // Whether it has more than its share, among those that take new ones: then the others are to take the next.
  bool is_above_mean(std::size_t slot) const;
  // Its report, which goes on with the counters that the slot had when this process was forked; `before` are those that
  // the worker had already then.
  void begin(std::size_t slot, const StatsReport& before);
  void publish(std::size_t slot, const StatsReport& report);

  // --- The supervisor ---

  // The slot has a worker now.
  void occupy(std::size_t slot, pid_t pid);
  // It has none any more: what the worker had counted stays, what it had is gone.
  void vacate(std::size_t slot);
  // Changes while its loop turns.
  std::uint64_t beats(std::size_t slot) const;

  // --- Everybody ---

  // 0: it has no worker now.
  pid_t pid(std::size_t slot) const;
  std::size_t connections(std::size_t slot) const;
  // What its workers have counted, and the present one has; as it was at most a second ago.
  StatsReport report(std::size_t slot) const;
  // Of all together.
  StatsReport total() const;

 private:
  using Word = std::atomic<std::uint64_t>;
  struct Page;

  WorkerStatus(void* memory, std::size_t count, std::vector<std::string_view> protocols);
  Page& page(std::size_t slot) const;
  Word* record(std::size_t slot, std::uint64_t version) const;
  std::vector<std::uint64_t> words_of(const StatsReport& report) const;
  StatsReport report_of(std::span<const std::uint64_t> words) const;
  std::vector<std::uint64_t> read(std::size_t slot) const;
  void write(std::size_t slot, std::span<const std::uint64_t> words);

  void* memory_;
  std::size_t count_;
  std::vector<std::string_view> protocols_;
  std::size_t counters_;  // of the words of a report: they come first, and never go back
  std::size_t words_;
  std::size_t page_bytes_;
  std::vector<std::uint64_t> base_;  // what is added to the counters of this process's own reports
};

}  // namespace websockets
