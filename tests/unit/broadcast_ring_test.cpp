// SPDX-License-Identifier: MIT
#include "cluster/broadcast_ring.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "failing_allocations.h"
#include "forked.h"
#include "shared_memory.h"

namespace websockets {
namespace {

using Reader = BroadcastRing::Reader;
using Status = Reader::Status;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kSmallBytes = 64;  // the largest record of a ring of one page

struct RingMemory {
  explicit RingMemory(std::size_t max_bytes) : memory(BroadcastRing::memory_bytes(max_bytes)) {}
  SharedMemory memory;
};

struct TestRing : private RingMemory, public BroadcastRing {
  explicit TestRing(std::size_t max_bytes = kSmallBytes)
      : RingMemory(max_bytes), BroadcastRing(RingMemory::memory.data(), max_bytes) {}
  // Behind the page that says how far the ring is written.
  std::span<std::uint8_t> records() const {
    return std::span(static_cast<std::uint8_t*>(memory.data()), memory.size()).subspan(4096);
  }
  std::size_t size() const { return memory.size(); }
  std::size_t resident_bytes() const {
    std::vector<unsigned char> pages(memory.size() / 4096);
    if (::mincore(memory.data(), memory.size(), pages.data()) != 0) return ~std::size_t{0};
    return 4096 *
           static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](int page) { return page & 1; }));
  }
};

bool write(BroadcastRing& ring, std::uint32_t tag, std::string_view head, std::string_view body) {
  return ring.write({tag, as_bytes(head), as_bytes(body)});
}

// "tag:head:body", "none" or "gap".
std::string next(Reader& reader) {
  BroadcastRing::Copy copy;
  BroadcastRing::Record record;
  const Status status = reader.read(copy, record);
  if (status == Status::kNone) return "none";
  if (status == Status::kGap) return "gap";
  return std::to_string(record.tag) + ":" + std::string(as_text(record.head)) + ":" + std::string(as_text(record.body));
}

// What a record takes of a ring.
std::size_t words_of(std::size_t head, std::size_t body) { return 4 + (head + 7) / 8 + (body + 7) / 8; }

// --- One process ---

TEST(BroadcastRing, TakesRecordsInOrderAndWhole) {
  TestRing ring;
  Reader reader(ring);
  EXPECT_EQ(next(reader), "none");
  EXPECT_FALSE(reader.has_more());
  EXPECT_TRUE(write(ring, 1, "head", "body"));
  EXPECT_TRUE(write(ring, 0xFFFFFFFF, "", ""));
  EXPECT_TRUE(write(ring, 2, "", "eight by"));
  EXPECT_TRUE(write(ring, 3, std::string("\0\xff nine", 7), ""));
  EXPECT_TRUE(reader.has_more());
  EXPECT_EQ(next(reader), "1:head:body");
  EXPECT_EQ(next(reader), "4294967295::");
  EXPECT_EQ(next(reader), "2::eight by");
  EXPECT_EQ(next(reader), "3:" + std::string("\0\xff nine", 7) + ":");
  EXPECT_FALSE(reader.has_more());
  EXPECT_EQ(next(reader), "none");
}

TEST(BroadcastRing, RefusesWhatIsTooLarge) {
  TestRing ring;
  Reader reader(ring);
  const std::string text(kSmallBytes + 1, 'x');
  for (std::size_t head = 0; head <= kSmallBytes + 1; ++head) {
    EXPECT_FALSE(write(ring, 1, text.substr(0, head), text.substr(head)));
    EXPECT_EQ(next(reader), "none");
    if (head > kSmallBytes) break;
    EXPECT_TRUE(write(ring, 1, text.substr(0, head), text.substr(head + 1)));
    EXPECT_EQ(next(reader), "1:" + text.substr(0, head) + ":" + text.substr(head + 1));
  }
}

TEST(BroadcastRing, GoesRoundAtEveryOffset) {
  TestRing ring;
  Reader reader(ring);
  const std::size_t capacity = ring.records().size() / 8;
  const std::string text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-";
  ASSERT_EQ(text.size(), kSmallBytes);
  std::size_t place = 0;
  const auto exchange = [&](std::string_view head, std::string_view body) {
    ASSERT_TRUE(write(ring, 7, head, body));
    ASSERT_EQ(next(reader), "7:" + std::string(head) + ":" + std::string(body));
    place = (place + words_of(head.size(), body.size())) % capacity;
  };
  for (std::size_t size = 0; size <= kSmallBytes; ++size) {
    for (std::size_t offset = 0; offset < capacity; ++offset) {
      // Only the last words matter: a record that ends before the end of the ring is like any other.
      if (offset > 0 && offset < capacity - words_of(0, kSmallBytes) - 2) continue;
      while (place != offset) {
        const std::size_t left = (offset + 2 * capacity - place) % capacity;
        const std::size_t step = left == 4 || left >= 8 ? 4 : left >= 5 ? left : left + capacity;
        exchange("", text.substr(0, step == 4 ? 0 : step <= 12 ? 8 * (step - 4) : 24));
        if (HasFatalFailure()) return;
      }
      exchange(text.substr(0, size / 3), text.substr(size / 3, size - size / 3));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(BroadcastRing, ReadersKnowNothingOfEachOther) {
  TestRing ring;
  Reader first(ring);
  write(ring, 1, "", "1");
  Reader second(ring);  // begins with what is written from now on
  write(ring, 2, "", "2");
  EXPECT_EQ(next(second), "2::2");
  EXPECT_EQ(next(second), "none");
  EXPECT_EQ(next(first), "1::1");
  EXPECT_EQ(next(first), "2::2");
  EXPECT_EQ(next(first), "none");
}

TEST(BroadcastRing, TellsASlowReaderOnceThatItHasMissedSomething) {
  TestRing ring;
  Reader reader(ring);
  for (int i = 0; i < 1000; ++i) write(ring, 1, "", std::to_string(i));
  EXPECT_EQ(next(reader), "gap");
  EXPECT_EQ(next(reader), "1::999");
  EXPECT_EQ(next(reader), "none");
  write(ring, 1, "", "next");
  EXPECT_EQ(next(reader), "1::next");
}

TEST(BroadcastRing, PassesOverWhatAReaderDoesNotWant) {
  TestRing ring;
  Reader reader(ring);
  write(ring, 1, "", "1");
  reader.skip();
  EXPECT_EQ(next(reader), "none");
}

// A reader is told of a gap if, and only if, more was written than the ring holds.
TEST(BroadcastRing, LosesNothingThatItHasRoomFor) {
  std::mt19937 random(1);
  const auto up_to = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random); };
  for (const std::size_t max_bytes : {0UL, 1UL, 64UL, 1000UL, 1983UL, 5000UL}) {
    TestRing ring(max_bytes);
    const std::size_t capacity = ring.records().size() / 8;
    ASSERT_GE(capacity, 2 * words_of(1, max_bytes == 0 ? 0 : max_bytes - 1));
    struct Model {
      Reader reader;
      std::deque<std::string> expected;
      std::size_t words = 0;
    };
    std::array<Model, 3> models{Model{Reader(ring), {}}, Model{Reader(ring), {}}, Model{Reader(ring), {}}};
    std::deque<std::size_t> sizes;
    for (int step = 0; step < 20'000; ++step) {
      const std::size_t size = up_to(up_to(max_bytes));
      const std::size_t head = up_to(size);
      const std::string text(size, static_cast<char>('a' + step % 26));
      ASSERT_TRUE(write(ring, static_cast<std::uint32_t>(step), text.substr(0, head), text.substr(head)));
      for (std::size_t i = 0; i < models.size(); ++i) {
        Model& model = models[i];
        model.words += words_of(head, size - head);
        model.expected.push_back(std::to_string(step) + ":" + text.substr(0, head) + ":" + text.substr(head));
        if (up_to(i * i * 40) > 0) continue;  // the first one keeps up, the last one is slow
        if (model.words > capacity) {
          ASSERT_EQ(next(model.reader), "gap");
          model.expected = {model.expected.back()};
        }
        for (std::size_t reads = i == 0 ? 1000 : up_to(1000); reads > 0 && !model.expected.empty(); --reads) {
          ASSERT_EQ(next(model.reader), model.expected.front());
          model.expected.pop_front();
        }
        if (model.expected.empty()) {
          ASSERT_EQ(next(model.reader), "none");
        } else {
          model.reader.skip();
          model.expected.clear();
        }
        model.words = 0;
      }
    }
  }
}

TEST(BroadcastRing, NoticesGarbage) {
  TestRing ring;
  Reader reader(ring);
  for (const int garbage : {0xA5, 0xFF, 0}) {
    write(ring, 1, "", "1");
    std::memset(ring.records().data(), garbage, ring.records().size());
    EXPECT_EQ(next(reader), "gap");
    EXPECT_EQ(next(reader), "none");
    write(ring, 2, "", "2");
    EXPECT_EQ(next(reader), "2::2");
  }
}

// Whatever becomes of a record's sizes, no more is copied than the ring has.
TEST(BroadcastRing, BelievesNoSize) {
  TestRing ring;
  for (const std::uint64_t size : {~0ULL, ~0ULL - 7, 1ULL << 63U, 1ULL << 61U, 65ULL, 9ULL, 4096ULL}) {
    for (const std::size_t word : {2U, 3U}) {
      std::memset(ring.records().data(), 0, ring.records().size());
      Reader reader(ring);
      write(ring, 1, "12345678", "12345678");
      const std::span<std::uint8_t> records = ring.records();
      const std::string head = "12345678";
      const auto found = std::search(records.begin(), records.end(), head.begin(), head.end());
      std::memcpy(&*found - (4 - word) * 8, &size, sizeof size);
      EXPECT_EQ(next(reader), "gap");
    }
  }
}

TEST(BroadcastRing, CanBeReadAgainWhenMemoryWasShort) {
  TestRing ring(10'000);
  Reader reader(ring);
  write(ring, 1, "", std::string(9000, 'x'));
  BroadcastRing::Copy copy;
  BroadcastRing::Record record;
  {
    const FailingAllocation failing(1);
    EXPECT_THROW(static_cast<void>(reader.read(copy, record)), std::bad_alloc);
  }
  EXPECT_EQ(reader.read(copy, record), Status::kRecord);
  EXPECT_EQ(record.body.size(), 9000U);
}

TEST(BroadcastRing, TakesMemoryAsItIsWrittenTo) {
  TestRing ring(32U << 20U);
  Reader reader(ring);
  EXPECT_GT(ring.size(), 64U << 20U);
  EXPECT_EQ(next(reader), "none");
  EXPECT_TRUE(write(ring, 1, "", "1"));
  EXPECT_EQ(next(reader), "1::1");
  EXPECT_LE(ring.resident_bytes(), 64U << 10U);
}

// --- A sender that dies ---

TEST(BroadcastRing, RecoversWhatNeedsNoRecovery) {
  TestRing ring;
  Reader reader(ring);
  ring.recover();
  EXPECT_EQ(next(reader), "none");
  write(ring, 1, "", "1");
  ring.recover();
  EXPECT_EQ(next(reader), "1::1");
  EXPECT_EQ(next(reader), "none");
}

// The body's last pages cannot be read: the sender dies when it gets there.
TEST(BroadcastRing, SkipsWhatASenderHasNotFinished) {
  constexpr std::size_t kPage = 4096;
  SharedMemory source(3 * kPage);
  ASSERT_EQ(::mprotect(static_cast<std::uint8_t*>(source.data()) + kPage, 2 * kPage, PROT_NONE), 0);
  TestRing ring(2 * kPage + 8);
  Reader reader(ring);
  for (std::size_t there = 0; there <= kPage; there += 200) {
    write(ring, 1, "before", "");
    const pid_t child = ::fork();
    if (child == 0) {
      for (const int number : {SIGSEGV, SIGBUS}) ::signal(number, SIG_DFL);
      const std::span body(static_cast<const std::uint8_t*>(source.data()) + kPage - there, 2 * kPage - there % 77);
      run_in_child([&] { return ring.write({2, as_bytes("head"), body}); });
    }
    ASSERT_GT(child, 0);
    ASSERT_FALSE(has_succeeded(child));
    EXPECT_EQ(next(reader), "1:before:");
    EXPECT_EQ(next(reader), "none");
    const Reader late(ring);
    ring.recover();
    EXPECT_TRUE(late.has_more());  // but that is nothing
    EXPECT_EQ(next(reader), "none");
    write(ring, 3, "", "after");
    EXPECT_EQ(next(reader), "3::after");
    EXPECT_EQ(next(reader), "none");
  }
}

// --- Numbered records, whose bytes tell whether they are whole ---

struct Number {
  std::uint32_t generation = 0;  // of the sender
  std::uint32_t sequence = 0;
};

void fill(std::span<std::uint8_t> body, Number number) {
  auto value = static_cast<std::uint8_t>(number.generation * 57 + number.sequence * 31);
  for (std::uint8_t& byte : body) byte = value = static_cast<std::uint8_t>(value + 7);
}

bool write_numbered(BroadcastRing& ring, Number number, std::span<std::uint8_t> body) {
  fill(body, number);
  return ring.write(
      {static_cast<std::uint32_t>(body.size()), as_bytes({reinterpret_cast<const char*>(&number), 8}), body});
}

// Whether the record is whole, and its number.
bool is_whole(const BroadcastRing::Record& record, Number& number) {
  if (record.head.size() != sizeof number || record.tag != record.body.size()) return false;
  std::memcpy(&number, record.head.data(), sizeof number);
  auto value = static_cast<std::uint8_t>(number.generation * 57 + number.sequence * 31);
  return std::all_of(record.body.begin(), record.body.end(), [&](std::uint8_t byte) {
    value = static_cast<std::uint8_t>(value + 7);
    return byte == value;
  });
}

// Notes what is wrong: what is torn, comes twice, out of order, or is missing without a gap.
class Checker {
 public:
  explicit Checker(const BroadcastRing& ring) : reader_(ring) {}

  Status read() {
    BroadcastRing::Record record;
    const Status status = reader_.read(copy_, record);
    if (status == Status::kGap) {
      ++gaps;
      is_behind_gap_ = true;
    }
    if (status == Status::kRecord) {
      Number number;
      if (!is_whole(record, number)) ++torn;
      if (!is_next(number)) ++misplaced;
      is_behind_gap_ = false;
      last = number;
      ++records;
    }
    return status;
  }
  bool has_more() const { return reader_.has_more(); }
  bool is_good() const { return torn == 0 && misplaced == 0; }

  Number last{0, ~0U};
  int records = 0, gaps = 0, torn = 0, misplaced = 0;

 private:
  bool is_next(Number number) const {
    if (number.generation == last.generation) {
      const std::uint32_t step = number.sequence - last.sequence;
      return step == 1 || (is_behind_gap_ && step > 0 && step < 1U << 31U);
    }
    return number.generation > last.generation && (number.sequence == 0 || is_behind_gap_);
  }

  Reader reader_;
  BroadcastRing::Copy copy_;
  bool is_behind_gap_ = false;
};

// The sender goes round and round while the reader copies: now faster, now slower than that one.
TEST(BroadcastRing, GivesAReaderInAnotherThreadNothingThatIsTorn) {
  TestRing ring(3000);
  Checker checker(ring);
  std::atomic<bool> is_enough{false};
  std::thread sender([&] {
    std::mt19937 random(2);
    Bytes body(2900);
    for (std::uint32_t i = 0; !is_enough; ++i) {
      const std::size_t size = std::uniform_int_distribution<std::size_t>(0, body.size())(random);
      write_numbered(ring, {0, i}, std::span(body).first(size));
      if (size % 16 == 0) ::sched_yield();
    }
  });
  while (checker.gaps < 100 || checker.records < 1000) {
    if (checker.read() == Status::kNone) ::sched_yield();
  }
  is_enough = true;
  sender.join();
  EXPECT_EQ(checker.torn, 0);
  EXPECT_EQ(checker.misplaced, 0);
}

// --- Two processes ---

TEST(BroadcastRing, CarriesAHundredThousandRecordsToAnotherProcess) {
  constexpr int kRecords = 100'000;
  TestRing ring(8U << 20U);  // all of them have room
  Checker checker(ring);
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      while (checker.records < kRecords && checker.is_good()) {
        if (checker.read() == Status::kNone) ::sched_yield();
      }
      return checker.is_good() && checker.gaps == 0 && checker.last.sequence == kRecords - 1;
    });
  }
  ASSERT_GT(child, 0);
  std::mt19937 random(3);
  Bytes body(200);
  for (std::uint32_t i = 0; i < kRecords; ++i) {
    write_numbered(ring, {0, i}, std::span(body).first(std::uniform_int_distribution<std::size_t>(0, 200)(random)));
  }
  EXPECT_TRUE(has_succeeded(child));
}

TEST(BroadcastRing, SurvivesSendersThatAreKilled) {
  constexpr std::uint32_t kRounds = 100;
  constexpr std::size_t kMaxBytes = 100'000;
  TestRing ring(kMaxBytes + 8);
  Checker checker(ring);
  std::mt19937 random(4);
  int unfinished = 0;
  for (std::uint32_t generation = 1; generation <= kRounds; ++generation) {
    const pid_t child = ::fork();
    if (child == 0) {
      run_in_child([&] {
        std::mt19937 sizes(generation);
        Bytes body(kMaxBytes);
        for (std::uint32_t i = 0;; ++i) {
          const std::size_t size = std::uniform_int_distribution<std::size_t>(0, kMaxBytes)(sizes);
          if (!write_numbered(ring, {generation, i}, std::span(body).first(size))) return false;
        }
      });
    }
    ASSERT_GT(child, 0);
    while (checker.last.generation != generation) {
      if (checker.read() == Status::kNone) ::sched_yield();
    }
    const std::chrono::microseconds wait(std::uniform_int_distribution<int>(0, 1000)(random));
    for (const auto end = std::chrono::steady_clock::now() + wait; std::chrono::steady_clock::now() < end;)
      checker.read();
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (checker.read() != Status::kNone) {
    }
    ring.recover();
    if (checker.has_more()) ++unfinished;
    ASSERT_EQ(checker.read(), Status::kNone);
    ASSERT_TRUE(checker.is_good()) << checker.torn << " torn, " << checker.misplaced << " misplaced";
  }
  EXPECT_GT(unfinished, 0);
  RecordProperty("unfinished", unfinished);
  RecordProperty("records", checker.records);
}

// What the process has of files and of memory that it shares: a sanitizer's own is not in it.
std::size_t shared_bytes_of_process() {
  std::size_t size = 0, resident = 0, shared = 0;
  std::ifstream("/proc/self/statm") >> size >> resident >> shared;
  return shared * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(BroadcastRing, NeverWaitsForAReaderThatIsStopped) {
  constexpr std::size_t kMaxBytes = 1U << 20U;
  TestRing ring(kMaxBytes);
  std::array<int, 2> report{};
  ASSERT_EQ(::pipe(report.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      Reader reader(ring);
      ::raise(SIGSTOP);
      if (next(reader) != "gap" || next(reader) != "2::newest" || next(reader) != "none" ||
          ::write(report[1], "!", 1) != 1)
        return false;
      std::string got;
      while ((got = next(reader)) == "none") ::sched_yield();
      return got == "3::last";
    });
  }
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  const std::string message(kMaxBytes, 'x');
  const std::size_t before = shared_bytes_of_process();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(write(ring, 1, "", message));
  EXPECT_TRUE(write(ring, 2, "", "newest"));
  EXPECT_LE(shared_bytes_of_process(), before + ring.size() + (1U << 20U));
  ASSERT_EQ(::kill(child, SIGCONT), 0);
  char said = 0;
  EXPECT_EQ(::read(report[0], &said, 1), 1);
  write(ring, 3, "", "last");
  EXPECT_TRUE(has_succeeded(child));
  for (const int end : report) ::close(end);
}

}  // namespace
}  // namespace websockets
