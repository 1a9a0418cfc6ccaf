// SPDX-License-Identifier: MIT
#include "base/output_queue.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <variant>

namespace websockets {

// Memory that pieces lie in, one behind the other, each before the bytes that it owns. The pieces of a block follow
// each other in the queue, so it is free when the last of them was sent.
struct alignas(std::uint64_t) OutputBlock {
  std::size_t size;    // with this header
  std::uint8_t* free;  // behind the last piece
  OutputBlock* next_free = nullptr;

  std::size_t room() const {
    return static_cast<std::size_t>(reinterpret_cast<const std::uint8_t*>(this) + size - free);
  }
};

namespace {

struct PinnedBytes {
  PinnedPayload pinned;
  std::size_t bytes;
};

struct FilePosition {
  SharedFile file;
  off_t offset;
};

}  // namespace

struct OutputPiece {
  OutputPiece* next = nullptr;
  OutputBlock* block = nullptr;
  const std::uint8_t* data = nullptr;  // the first byte to send; nullptr: a file
  std::uint64_t size = 0;              // still to send
  std::variant<std::monostate, SharedFrame, PinnedBytes, FilePosition> source;  // monostate: the bytes lie behind it

  bool owns_bytes() const { return source.index() == 0; }
};

namespace {

constexpr std::size_t kSmallestBlock = 256;
constexpr std::size_t kLargestBlock = 16384;  // but for long bytes, which are in one of their own
constexpr std::size_t kMaxFreeBytes = 4U << 20U;
// What is no longer than this is copied: it leaves together with its neighbours, which takes less time than a
// reference, and the reference would take more memory than a very short frame. Beyond 1 KiB copying takes more time.
constexpr std::size_t kCopiedBytes = 512;

constexpr std::size_t size_index(std::size_t block_bytes) {
  return static_cast<std::size_t>(std::bit_width((block_bytes - 1) / kSmallestBlock));
}

// For a piece behind what is in a block, with its alignment.
constexpr std::size_t kPieceBytes = sizeof(OutputPiece) + alignof(OutputPiece) - 1;

OutputBlock* allocate(std::size_t size) {
  auto* const block = static_cast<OutputBlock*>(::operator new(size));
  return new (block) OutputBlock{size, nullptr};
}

struct Gathered {
  std::size_t count;
  bool is_all;
};

// Up to a file, and `most` bytes.
Gathered gather_from(OutputPiece* piece, std::size_t most, std::span<iovec> parts) {
  std::size_t count = 0;
  for (; piece != nullptr && piece->data != nullptr && count < parts.size() && most > 0; piece = piece->next) {
    const std::size_t size = std::min(most, static_cast<std::size_t>(piece->size));
    parts[count++] = {const_cast<std::uint8_t*>(piece->data), size};
    most -= size;
    if (size < piece->size) break;
  }
  return {count, piece == nullptr};
}

}  // namespace

OutputPool::~OutputPool() {
  for (OutputBlock*& first : free_) {
    while (first != nullptr) ::operator delete(std::exchange(first, first->next_free));
  }
}

// A queue that starts small keeps what many slow readers pin small: each of its blocks is twice the one before.
OutputBlock* OutputPool::take(std::size_t wanted_bytes, const OutputBlock* previous) {
  static_assert(size_index(kLargestBlock) + 1 == std::tuple_size_v<decltype(free_)>);
  const std::size_t grown = previous == nullptr ? kSmallestBlock : std::min(2 * previous->size, kLargestBlock);
  const std::size_t size = std::max(sizeof(OutputBlock) + wanted_bytes, grown);
  OutputBlock* block = nullptr;
  if (size > kLargestBlock) {
    block = allocate(size);
  } else if (OutputBlock*& first = free_[size_index(size)]; first != nullptr) {
    block = std::exchange(first, first->next_free);
    free_bytes_ -= block->size;
  } else {
    block = allocate(kSmallestBlock << size_index(size));
  }
  block->free = reinterpret_cast<std::uint8_t*>(block + 1);
  memory_.add(block->size);
  return block;
}

void OutputPool::give_back(OutputBlock* block) {
  memory_.remove(block->size);
  if (block->size > kLargestBlock || free_bytes_ + block->size > kMaxFreeBytes) return ::operator delete(block);
  free_bytes_ += block->size;
  block->next_free = std::exchange(free_[size_index(block->size)], block);
}

// --- What lies where ---

OutputBlock& OutputQueue::take_block(OutputPool& pool, std::size_t wanted_bytes) {
  return *pool.take(sizeof(OutputPiece) + wanted_bytes, last_ == nullptr ? nullptr : last_->block);
}

OutputPiece& OutputQueue::link_piece(OutputBlock& block) {
  constexpr std::uintptr_t kMisaligned = alignof(OutputPiece) - 1;
  auto* const piece = new (block.free + (-reinterpret_cast<std::uintptr_t>(block.free) & kMisaligned)) OutputPiece;
  block.free = reinterpret_cast<std::uint8_t*>(piece + 1);
  piece->block = &block;
  piece->data = block.free;
  (last_ == nullptr ? first_ : last_->next) = piece;
  last_ = piece;
  return *piece;
}

// For bytes of its own, in the last block.
std::size_t OutputQueue::room() const {
  if (last_ == nullptr) return 0;
  const std::size_t room = last_->block->room();
  return last_->owns_bytes() ? room : room - std::min(room, kPieceBytes);
}

std::uint8_t* OutputQueue::take_room(std::size_t count) {
  OutputPiece& piece = last_->owns_bytes() ? *last_ : link_piece(*last_->block);
  std::uint8_t* const at = piece.block->free;
  piece.block->free += count;
  piece.size += count;
  bytes_ += count;
  return at;
}

std::uint8_t* OutputQueue::extend(OutputPool& pool, std::size_t count) {
  if (room() < count) link_piece(take_block(pool, count));
  return take_room(count);
}

void OutputQueue::append(OutputPool& pool, std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kCopiedBytes) return append_long(pool, bytes);
  if (!bytes.empty()) std::memcpy(extend(pool, bytes.size()), bytes.data(), bytes.size());
}

// Also in what the last block has room for.
void OutputQueue::append_long(OutputPool& pool, std::span<const std::uint8_t> bytes) {
  const std::span<const std::uint8_t> fitting = bytes.first(std::min(bytes.size(), room()));
  const std::span<const std::uint8_t> rest = bytes.subspan(fitting.size());
  OutputBlock* const block = rest.empty() ? nullptr : &take_block(pool, rest.size());
  if (!fitting.empty()) std::memcpy(take_room(fitting.size()), fitting.data(), fitting.size());
  if (block == nullptr) return;
  link_piece(*block);
  std::memcpy(take_room(rest.size()), rest.data(), rest.size());
}

// `data`: nullptr for a file.
OutputPiece& OutputQueue::refer(OutputPool& pool, const std::uint8_t* data, std::uint64_t size) {
  const bool has_room = last_ != nullptr && last_->block->room() >= kPieceBytes;
  OutputPiece& piece = link_piece(has_room ? *last_->block : take_block(pool, 0));
  piece.data = data;
  piece.size = size;
  if (data != nullptr) bytes_ += static_cast<std::size_t>(size);
  return piece;
}

void OutputQueue::append_frame(OutputPool& pool, const SharedFrame& frame) {
  if (frame->size() <= kCopiedBytes) return append(pool, *frame);
  refer(pool, frame->data(), frame->size()).source = frame;
}

void OutputQueue::append_pinned(OutputPool& pool, std::span<const std::uint8_t> bytes, PinnedPayload pinned) {
  if (bytes.size() <= kCopiedBytes) return append(pool, bytes);
  refer(pool, bytes.data(), bytes.size()).source = PinnedBytes{std::move(pinned), bytes.size()};
  pool.memory_.add(bytes.size());
}

void OutputQueue::append_file(OutputPool& pool, SharedFile file, std::uint64_t offset, std::uint64_t bytes) {
  refer(pool, nullptr, bytes).source = FilePosition{std::move(file), static_cast<off_t>(offset)};
}

void OutputQueue::append_all(OutputPool& pool, OutputQueue& other) {
  for (; !other.empty(); other.pop(pool)) {
    OutputPiece& piece = *other.first_;
    if (piece.owns_bytes()) {
      append(pool, {piece.data, static_cast<std::size_t>(piece.size)});
    } else {
      OutputPiece& copy = refer(pool, piece.data, piece.size);  // before its source is taken: there may be no memory
      copy.source = std::exchange(piece.source, {});
    }
  }
  other.bytes_ = 0;
}

// --- What leaves ---

std::size_t OutputQueue::held_bytes() const {
  std::size_t held = 0;
  const OutputBlock* counted = nullptr;
  for (const OutputPiece* piece = first_; piece != nullptr; piece = piece->next) {
    if (piece->block != counted) held += piece->block->size;
    counted = piece->block;
    if (const auto* const frame = std::get_if<SharedFrame>(&piece->source)) {
      held += (*frame)->capacity() / static_cast<std::size_t>(std::max(frame->use_count(), 1L));
    } else if (const auto* const payload = std::get_if<PinnedBytes>(&piece->source)) {
      held += payload->bytes;
    }
  }
  return held;
}

std::size_t OutputQueue::gather(std::span<iovec> parts, std::size_t most) const {
  return gather_from(first_, most, parts).count;
}

std::size_t OutputQueue::gather_all(std::span<iovec> parts, std::size_t most) const {
  const auto [count, is_all] = gather_from(first_, most, parts);
  return is_all ? count : 0;
}

bool OutputQueue::begins_with_file() const { return first_ != nullptr && first_->data == nullptr; }

bool OutputQueue::has_file() const {
  const OutputPiece* piece = first_;
  while (piece != nullptr && piece->data != nullptr) piece = piece->next;
  return piece != nullptr;
}

OutputQueue::FileRange OutputQueue::front_file() const {
  const auto& range = std::get<FilePosition>(first_->source);
  return {range.file->get(), range.offset, first_->size};
}

void OutputQueue::consume(OutputPool& pool, std::size_t bytes) {
  if (begins_with_file()) {
    std::get<FilePosition>(first_->source).offset += static_cast<off_t>(bytes);
    first_->size -= bytes;
    if (first_->size == 0) pop(pool);
    return;
  }
  bytes_ -= bytes;
  while (first_ != nullptr && first_->data != nullptr && bytes >= first_->size) {
    bytes -= static_cast<std::size_t>(first_->size);
    pop(pool);
  }
  if (bytes > 0) {
    first_->data += bytes;
    first_->size -= bytes;
  }
}

void OutputQueue::pop(OutputPool& pool) {
  OutputPiece* const piece = std::exchange(first_, first_->next);
  OutputBlock* const block = piece->block;
  if (first_ == nullptr) last_ = nullptr;
  if (const auto* const payload = std::get_if<PinnedBytes>(&piece->source)) pool.memory_.remove(payload->bytes);
  piece->~OutputPiece();
  if (first_ == nullptr || first_->block != block) pool.give_back(block);
}

void OutputQueue::clear(OutputPool& pool) {
  while (first_ != nullptr) pop(pool);
  bytes_ = 0;
}

}  // namespace websockets
