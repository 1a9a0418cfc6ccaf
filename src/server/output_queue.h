// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "net/stream.h"
#include "net/unique_fd.h"
#include "server/kept_payload.h"
#include "server/memory_budget.h"

namespace websockets {

// A frame that several queues share. Immutable once it is queued.
using SharedFrame = std::shared_ptr<const std::vector<std::uint8_t>>;

// A file that several pieces of output are taken from.
using SharedFile = std::shared_ptr<const UniqueFd>;

struct OutputPiece;

// Memory for the pieces of all queues of a context: what was sent is used again, without asking the allocator.
class OutputPool {
 public:
  // Counts there what the queues take of it.
  explicit OutputPool(MemoryBudget& memory) : memory_(memory) {}
  ~OutputPool();
  OutputPool(const OutputPool&) = delete;
  OutputPool& operator=(const OutputPool&) = delete;

 private:
  friend class OutputQueue;
  OutputPiece* take(std::size_t wanted_bytes, bool is_first);
  OutputPiece* find(std::size_t wanted_bytes, bool is_first);
  void count(OutputPiece* piece, std::size_t bytes);
  void give_back(OutputPiece* piece);

  struct FreeList {
    OutputPiece* first = nullptr;
    std::size_t count = 0;
  };
  MemoryBudget& memory_;
  std::array<FreeList, 3> free_;  // by the size of a piece's storage
};

// The bytes that wait to be sent on one connection, in order. Takes no memory while empty. Throws std::bad_alloc.
class OutputQueue {
 public:
  OutputQueue() = default;
  ~OutputQueue() = default;  // the owner has called clear()
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  bool empty() const { return first_ == nullptr; }
  std::size_t bytes() const { return bytes_; }  // in memory; files are not counted

  // Nothing of `bytes` is queued when memory is short.
  void append(OutputPool& pool, std::span<const std::uint8_t> bytes);
  // Appends `count` bytes, at least one, that the caller fills in at once. For few: they are in one piece.
  std::uint8_t* extend(OutputPool& pool, std::size_t count);
  void append_frame(OutputPool& pool, SharedFrame frame);
  void append_kept(OutputPool& pool, std::span<const std::uint8_t> bytes, KeptPayload kept);
  // So many bytes, at least one, of a regular file.
  void append_file(OutputPool& pool, SharedFile file, std::uint64_t offset, std::uint64_t bytes);

  // What send() would send, if that is all there is, no file, and fits into `parts`; else 0.
  std::size_t parts(std::span<iovec> parts, std::size_t most) const;
  // Removes from the front what was sent otherwise.
  void consume(OutputPool& pool, std::size_t bytes);
  // Sends from the front, at most so many bytes, by one system call, and removes what was taken. Not while empty().
  IoResult send(OutputPool& pool, Stream& stream, std::size_t most);

  bool has_file() const;
  void clear(OutputPool& pool);

 private:
  bool begins_with_file() const;
  void link(OutputPiece* piece);
  void pop(OutputPool& pool);

  OutputPiece* first_ = nullptr;
  OutputPiece* last_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace websockets
