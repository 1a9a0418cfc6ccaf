// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace websockets {

// Records from one process to any number of others, in memory that all share. The sender never waits, and knows of no
// reader: what lies there longest is overwritten. A reader that was so slow learns that it has missed something, and
// gets nothing twice, nothing torn, and nothing out of order.
class BroadcastRing {
 public:
  struct Record {
    std::uint32_t tag = 0;
    std::span<const std::uint8_t> head;
    std::span<const std::uint8_t> body;
  };

  // What a ring takes that has room for two records with heads and bodies of `max_bytes`.
  static std::size_t memory_bytes(std::size_t max_bytes);
  // In memory of that size, zero at first, for whole pages. It is touched when it is written to, not before. Any number
  // of objects, in one process or several, may be the same ring.
  BroadcastRing(void* memory, std::size_t max_bytes);

  // --- The sender: one thread of one process ---

  // False: head and body are larger than `max_bytes` together.
  bool write(const Record& record);
  // The sender has died, maybe within write(): from now on another one may write.
  void recover();

  // --- Readers ---

  // Where a reader copies records to. One is enough for all readers of a thread.
  class Copy {
   public:
    // The words that are there are lost. Throws std::bad_alloc.
    std::uint64_t* make_room(std::size_t words);

   private:
    std::unique_ptr<std::uint64_t[]> words_;
    std::size_t size_ = 0;
  };

  class Reader {
   public:
    // Begins with what is written from now on.
    explicit Reader(const BroadcastRing& ring);

    // kRecord: the next one, which is valid until `copy` is used again. kGap: what came next is lost, and the reader
    // goes on with the newest record. Throws std::bad_alloc, having done nothing.
    enum class Status : std::uint8_t { kNone, kRecord, kGap };
    Status read(Copy& copy, Record& record);
    bool has_more() const;
    // Passes over what is there.
    void skip();

   private:
    bool is_lost() const;
    void skip_to_newest();

    const BroadcastRing* ring_;
    std::uint64_t position_;
  };

 private:
  using Word = std::atomic<std::uint64_t>;
  struct Control;
  struct Header;

  void put(std::uint64_t position, std::span<const std::uint8_t> bytes);
  void put(std::uint64_t position, const Header& header);
  void get(std::uint64_t position, std::span<std::uint64_t> words) const;
  Header header_at(std::uint64_t position) const;

  std::size_t max_bytes_;
  std::size_t capacity_;  // in words
  Control* control_;
  Word* words_;
};

}  // namespace websockets
