// SPDX-License-Identifier: MIT
#include "cluster/worker_status.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace websockets {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::size_t kPageBytes = 4096;  // so that no two workers write to the same cache line
constexpr std::size_t kStatsWords = sizeof(Stats) / kWordBytes;
constexpr std::size_t kLoopWords = sizeof(LoopStats) / kWordBytes;
constexpr std::size_t kGauges = 4;  // but for those of the subprotocols

// Both are nothing but counters.
static_assert(std::is_trivially_copyable_v<Stats> && sizeof(Stats) % kWordBytes == 0);
static_assert(std::is_trivially_copyable_v<LoopStats> && sizeof(LoopStats) % kWordBytes == 0);

}  // namespace

// Of two records the one that the version tells holds what was published last: a worker that dies while it writes the
// other one leaves this as it was.
struct WorkerStatus::Page {
  std::atomic<std::int64_t> pid{0};
  Word beats{0};
  Word connections{0};
  Word is_accepting{0};
  Word version{0};
};

Result<std::unique_ptr<WorkerStatus>> WorkerStatus::create(std::size_t count, std::vector<std::string_view> protocols) {
  static_assert(Word::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);
  std::unique_ptr<WorkerStatus> status(new WorkerStatus(MAP_FAILED, count, std::move(protocols)));
  status->memory_ =
      ::mmap(nullptr, count * status->page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (status->memory_ == MAP_FAILED) return system_error("no memory that workers share");
  for (std::size_t slot = 0; slot < count; ++slot) {
    new (&status->page(slot)) Page;
    for (const std::uint64_t version : {0U, 1U}) {
      for (std::size_t i = 0; i < status->words_; ++i) new (status->record(slot, version) + i) Word{0};
    }
  }
  return status;
}

WorkerStatus::WorkerStatus(void* memory, std::size_t count, std::vector<std::string_view> protocols)
    : memory_(memory),
      count_(count),
      protocols_(std::move(protocols)),
      counters_(kStatsWords + kLoopWords + protocols_.size()),
      words_(counters_ + kGauges + protocols_.size()),
      page_bytes_((sizeof(Page) + 2 * words_ * kWordBytes + kPageBytes - 1) / kPageBytes * kPageBytes),
      base_(counters_) {}

WorkerStatus::~WorkerStatus() {
  if (memory_ != MAP_FAILED) ::munmap(memory_, count_ * page_bytes_);
}

WorkerStatus::Page& WorkerStatus::page(std::size_t slot) const {
  return *reinterpret_cast<Page*>(static_cast<std::uint8_t*>(memory_) + slot * page_bytes_);
}

WorkerStatus::Word* WorkerStatus::record(std::size_t slot, std::uint64_t version) const {
  return reinterpret_cast<Word*>(&page(slot) + 1) + (version % 2 * words_);
}

// --- Records ---

std::vector<std::uint64_t> WorkerStatus::words_of(const StatsReport& report) const {
  std::vector<std::uint64_t> words(words_);
  std::memcpy(words.data(), &report.counted, sizeof report.counted);
  std::memcpy(words.data() + kStatsWords, &report.moved, sizeof report.moved);
  const std::size_t protocols = std::min(protocols_.size(), report.protocols.size());
  std::uint64_t* word = words.data() + kStatsWords + kLoopWords;
  for (std::size_t i = 0; i < protocols; ++i) word[i] = report.protocols[i].opened;
  word = words.data() + counters_;
  for (const std::size_t gauge : {report.connections, report.queued_bytes, report.topics, report.subscriptions}) {
    *word++ = gauge;
  }
  for (std::size_t i = 0; i < protocols; ++i) word[i] = report.protocols[i].open;
  return words;
}

StatsReport WorkerStatus::report_of(std::span<const std::uint64_t> words) const {
  StatsReport report;
  std::memcpy(static_cast<void*>(&report.counted), words.data(), sizeof report.counted);
  std::memcpy(static_cast<void*>(&report.moved), words.data() + kStatsWords, sizeof report.moved);
  const std::span<const std::uint64_t> opened = words.subspan(kStatsWords + kLoopWords);
  std::span<const std::uint64_t> gauges = words.subspan(counters_);
  for (std::size_t* const gauge : {&report.connections, &report.queued_bytes, &report.topics, &report.subscriptions}) {
    *gauge = static_cast<std::size_t>(gauges.front());
    gauges = gauges.subspan(1);
  }
  for (std::size_t i = 0; i < protocols_.size(); ++i) {
    report.protocols.push_back({protocols_[i], static_cast<std::size_t>(gauges[i]), opened[i]});
  }
  return report;
}

// A writer goes on to the other record, and comes back to this one only after that.
std::vector<std::uint64_t> WorkerStatus::read(std::size_t slot) const {
  std::vector<std::uint64_t> words(words_);
  for (;;) {
    const std::uint64_t version = page(slot).version.load(std::memory_order_acquire);
    const Word* const from = record(slot, version);
    for (std::size_t i = 0; i < words_; ++i) words[i] = from[i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (page(slot).version.load(std::memory_order_relaxed) == version) return words;
  }
}

void WorkerStatus::write(std::size_t slot, std::span<const std::uint64_t> words) {
  const std::uint64_t version = page(slot).version.load(std::memory_order_relaxed) + 1;
  std::atomic_thread_fence(std::memory_order_release);  // who reads one of these words sees the version before it
  Word* const to = record(slot, version);
  for (std::size_t i = 0; i < words_; ++i) to[i].store(words[i], std::memory_order_relaxed);
  page(slot).version.store(version, std::memory_order_release);
}

// --- The worker of a slot ---

void WorkerStatus::beat(std::size_t slot) { page(slot).beats.fetch_add(1, std::memory_order_relaxed); }

void WorkerStatus::set_accepting(std::size_t slot, bool is_accepting) {
  page(slot).is_accepting.store(is_accepting ? 1 : 0, std::memory_order_relaxed);
}

void WorkerStatus::set_connections(std::size_t slot, std::size_t connections) {
  page(slot).connections.store(connections, std::memory_order_relaxed);
}

bool WorkerStatus::is_above_mean(std::size_t slot) const {
  constexpr std::size_t kSlack = 2;  // so that a few connections do not go to and fro
  std::size_t sum = 0;
  std::size_t workers = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    if (page(i).is_accepting.load(std::memory_order_relaxed) == 0) continue;
    sum += connections(i);
    ++workers;
  }
  const std::size_t mine = connections(slot);
  return workers > 1 && mine > kSlack && (mine - kSlack) * workers > sum;
}

void WorkerStatus::begin(std::size_t slot, const StatsReport& before) {
  const std::vector<std::uint64_t> mine = words_of(before);
  base_ = read(slot);
  base_.resize(counters_);
  for (std::size_t i = 0; i < counters_; ++i) base_[i] -= mine[i];
}

void WorkerStatus::publish(std::size_t slot, const StatsReport& report) {
  std::vector<std::uint64_t> words = words_of(report);
  for (std::size_t i = 0; i < counters_; ++i) words[i] += base_[i];
  write(slot, words);
  set_connections(slot, report.connections);
}

// --- The supervisor ---

void WorkerStatus::occupy(std::size_t slot, pid_t pid) { page(slot).pid.store(pid, std::memory_order_relaxed); }

void WorkerStatus::vacate(std::size_t slot) {
  occupy(slot, 0);
  set_accepting(slot, false);
  set_connections(slot, 0);
  std::vector<std::uint64_t> words = read(slot);
  std::fill(words.begin() + static_cast<std::ptrdiff_t>(counters_), words.end(), 0);
  write(slot, words);
}

std::uint64_t WorkerStatus::beats(std::size_t slot) const { return page(slot).beats.load(std::memory_order_relaxed); }

// --- Everybody ---

pid_t WorkerStatus::pid(std::size_t slot) const {
  return static_cast<pid_t>(page(slot).pid.load(std::memory_order_relaxed));
}

std::size_t WorkerStatus::connections(std::size_t slot) const {
  return static_cast<std::size_t>(page(slot).connections.load(std::memory_order_relaxed));
}

StatsReport WorkerStatus::report(std::size_t slot) const { return report_of(read(slot)); }

StatsReport WorkerStatus::total() const {
  std::vector<std::uint64_t> sum(words_);
  for (std::size_t slot = 0; slot < count_; ++slot) {
    const std::vector<std::uint64_t> words = read(slot);
    for (std::size_t i = 0; i < words_; ++i) sum[i] += words[i];
  }
  return report_of(sum);
}

}  // namespace websockets
