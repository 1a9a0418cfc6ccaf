// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/memory_budget.h"
#include "base/pinned_payload.h"
#include "base/unique_fd.h"

namespace websockets {

// A frame that several queues share. Immutable once it is queued.
using SharedFrame = std::shared_ptr<const std::vector<std::uint8_t>>;

// A file that several pieces of output are taken from.
using SharedFile = std::shared_ptr<const UniqueFd>;

struct OutputBlock;
struct OutputPiece;

// Memory for the blocks of all queues of a loop: the blocks of what was sent are used again, without asking the
// allocator.
class OutputPool {
 public:
  // Counts there what the queues take of it.
  explicit OutputPool(MemoryBudget& memory) : memory_(memory) {}
  ~OutputPool();
  OutputPool(const OutputPool&) = delete;
  OutputPool& operator=(const OutputPool&) = delete;

 private:
  friend class OutputQueue;
  OutputBlock* take(std::size_t wanted_bytes, const OutputBlock* previous);
  void give_back(OutputBlock* block);

  MemoryBudget& memory_;
  std::size_t free_bytes_ = 0;
  std::array<OutputBlock*, 7> free_{};  // the first one of each size
};

// The bytes that wait to be sent on one connection, in order. An empty queue takes no memory, any other at most twice
// bytes() and 8 KiB, whatever the order of what is appended: a piece that is partly sent counts in full there, and no
// block of the queue's own is above 16 KiB unless it was appended at once. Throws std::bad_alloc.
class OutputQueue {
 public:
  OutputQueue() = default;
  ~OutputQueue() = default;  // the owner has called clear()
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  bool empty() const { return first_ == nullptr; }
  std::size_t bytes() const { return bytes_; }  // in memory; files are not counted
  // What the budget counts for this queue, which is what clear() would give back: of a frame that several queues share,
  // the part of one of them. Looks at every piece.
  std::size_t held_bytes() const;

  // Nothing of `bytes` is queued when memory is short.
  void append(OutputPool& pool, std::span<const std::uint8_t> bytes);
  // Appends `count` bytes, at least one, that the caller fills in at once. They are in one piece: for few, or what has
  // to be.
  std::uint8_t* extend(OutputPool& pool, std::size_t count);
  // A short frame or payload is copied: to refer to it would take more.
  void append_frame(OutputPool& pool, const SharedFrame& frame);
  void append_pinned(OutputPool& pool, std::span<const std::uint8_t> bytes, PinnedPayload pinned);
  // So many bytes, at least one, of a regular file.
  void append_file(OutputPool& pool, SharedFile file, std::uint64_t offset, std::uint64_t bytes);

  // The bytes at the front, at most `most`, as far as the next file. Fills `parts` from its front and returns how many.
  std::size_t gather(std::span<iovec> parts, std::size_t most) const;
  // The same if it is all there is, no file, and fits into `parts`; else 0.
  std::size_t gather_all(std::span<iovec> parts, std::size_t most) const;
  // The part of a file that is to be sent next.
  struct FileRange {
    int file;
    off_t offset;
    std::uint64_t bytes;
  };
  bool begins_with_file() const;
  FileRange front_file() const;  // while begins_with_file()
  // Removes so many bytes from the front, of what gather() gave, or of the file.
  void consume(OutputPool& pool, std::size_t bytes);

  // Moves all of `other` behind what is here. When memory is short, some of it stays there.
  void append_all(OutputPool& pool, OutputQueue& other);

  bool has_file() const;
  void clear(OutputPool& pool);

 private:
  std::size_t room() const;
  std::uint8_t* take_room(std::size_t count);
  OutputBlock& take_block(OutputPool& pool, std::size_t wanted_bytes);
  OutputPiece& link_piece(OutputBlock& block);
  void append_long(OutputPool& pool, std::span<const std::uint8_t> bytes);
  OutputPiece& refer(OutputPool& pool, const std::uint8_t* data, std::uint64_t size);
  void pop(OutputPool& pool);

  OutputPiece* first_ = nullptr;
  OutputPiece* last_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace websockets
