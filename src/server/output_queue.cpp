// SPDX-License-Identifier: MIT
#include "server/output_queue.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace websockets {

// What lies behind this struct in memory is its storage, for bytes that the queue owns.
struct OutputPiece {
  OutputPiece* next = nullptr;
  const std::uint8_t* data = nullptr;  // the first byte to send; nullptr: a file
  std::uint64_t size = 0;              // still to send
  std::size_t capacity = 0;            // of the storage
  std::size_t counted_bytes = 0;
  std::shared_ptr<const void> owner;  // of what is elsewhere: a frame, a file
  KeptPayload kept;
  int file = -1;
  off_t offset = 0;

  std::uint8_t* storage() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::size_t room() { return capacity == 0 ? 0 : capacity - static_cast<std::size_t>(data + size - storage()); }
};

namespace {

// Without storage (frames and payloads that are elsewhere, files); for the first bytes of a queue; for more of them. A
// queue that starts small keeps what many slow readers pin small.
constexpr std::array<std::size_t, 3> kCapacities = {0, 4096 - sizeof(OutputPiece), 16384 - sizeof(OutputPiece)};
constexpr std::size_t kMaxKeptBytes = 2U << 20U;  // per size
constexpr std::size_t kPiecesPerCall = 64;

OutputPiece* allocate(std::size_t capacity) {
  auto* piece = new (::operator new(sizeof(OutputPiece) + capacity)) OutputPiece;
  piece->capacity = capacity;
  return piece;
}

struct Gathered {
  std::size_t count;
  bool is_all;
};

// Up to a file, and `most` bytes.
Gathered gather(OutputPiece* piece, std::size_t most, std::span<iovec> parts) {
  std::size_t count = 0;
  for (; piece != nullptr && piece->data != nullptr && count < parts.size() && most > 0; piece = piece->next) {
    const std::size_t size = std::min(most, static_cast<std::size_t>(piece->size));
    parts[count++] = {const_cast<std::uint8_t*>(piece->data), size};
    most -= size;
    if (size < piece->size) break;
  }
  return {count, piece == nullptr};
}

void destroy(OutputPiece* piece) {
  piece->~OutputPiece();
  ::operator delete(piece);
}

}  // namespace

OutputPool::~OutputPool() {
  for (FreeList& list : free_) {
    while (list.first != nullptr) destroy(std::exchange(list.first, list.first->next));
  }
}

void OutputPool::count(OutputPiece* piece, std::size_t bytes) {
  piece->counted_bytes += bytes;
  memory_.add(bytes);
}

OutputPiece* OutputPool::take(std::size_t wanted_bytes, bool is_first) {
  OutputPiece* const piece = find(wanted_bytes, is_first);
  count(piece, sizeof(OutputPiece) + piece->capacity);
  return piece;
}

OutputPiece* OutputPool::find(std::size_t wanted_bytes, bool is_first) {
  std::size_t index = wanted_bytes == 0 ? 0 : 2;
  if (is_first && wanted_bytes != 0 && wanted_bytes <= kCapacities[1]) index = 1;
  if (wanted_bytes > kCapacities[index]) return allocate(wanted_bytes);
  FreeList& list = free_[index];
  if (list.first == nullptr) return allocate(kCapacities[index]);
  --list.count;
  OutputPiece* piece = std::exchange(list.first, list.first->next);
  piece->next = nullptr;
  return piece;
}

void OutputPool::give_back(OutputPiece* piece) {
  memory_.remove(std::exchange(piece->counted_bytes, 0));
  piece->owner.reset();
  piece->kept.reset();
  for (std::size_t index = 0; index < free_.size(); ++index) {
    FreeList& list = free_[index];
    if (piece->capacity != kCapacities[index] || list.count * (piece->capacity + sizeof *piece) >= kMaxKeptBytes) {
      continue;
    }
    piece->next = std::exchange(list.first, piece);
    ++list.count;
    return;
  }
  destroy(piece);
}

void OutputQueue::link(OutputPiece* piece) {
  (last_ == nullptr ? first_ : last_->next) = piece;
  last_ = piece;
}

void OutputQueue::append(OutputPool& pool, std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return;
  const std::size_t fitting = std::min(bytes.size(), last_ == nullptr ? 0 : last_->room());
  const std::span<const std::uint8_t> rest = bytes.subspan(fitting);
  OutputPiece* const piece = rest.empty() ? nullptr : pool.take(rest.size(), first_ == nullptr);

  if (fitting > 0) {
    std::memcpy(const_cast<std::uint8_t*>(last_->data) + last_->size, bytes.data(), fitting);
    last_->size += fitting;
  }
  if (piece != nullptr) {
    std::memcpy(piece->storage(), rest.data(), rest.size());
    piece->data = piece->storage();
    piece->size = rest.size();
    link(piece);
  }
  bytes_ += bytes.size();
}

std::uint8_t* OutputQueue::extend(OutputPool& pool, std::size_t count) {
  if (last_ == nullptr || last_->room() < count) {
    OutputPiece* const piece = pool.take(count, first_ == nullptr);
    piece->data = piece->storage();
    piece->size = 0;
    link(piece);
  }
  std::uint8_t* const at = const_cast<std::uint8_t*>(last_->data) + last_->size;
  last_->size += count;
  bytes_ += count;
  return at;
}

void OutputQueue::append_frame(OutputPool& pool, SharedFrame frame) {
  OutputPiece* piece = pool.take(0, false);
  piece->data = frame->data();
  piece->size = frame->size();
  bytes_ += frame->size();
  piece->owner = std::move(frame);
  link(piece);
}

void OutputQueue::append_kept(OutputPool& pool, std::span<const std::uint8_t> bytes, KeptPayload kept) {
  OutputPiece* piece = pool.take(0, false);
  piece->data = bytes.data();
  piece->size = bytes.size();
  bytes_ += bytes.size();
  piece->kept = std::move(kept);
  pool.count(piece, bytes.size());
  link(piece);
}

void OutputQueue::append_file(OutputPool& pool, SharedFile file, std::uint64_t offset, std::uint64_t bytes) {
  OutputPiece* piece = pool.take(0, false);
  piece->data = nullptr;
  piece->size = bytes;
  piece->file = file->get();
  piece->offset = static_cast<off_t>(offset);
  piece->owner = std::move(file);
  link(piece);
}

std::size_t OutputQueue::parts(std::span<iovec> parts, std::size_t most) const {
  const auto [count, is_all] = gather(first_, most, parts);
  return is_all ? count : 0;
}

bool OutputQueue::begins_with_file() const { return first_ != nullptr && first_->data == nullptr; }

bool OutputQueue::has_file() const {
  const OutputPiece* piece = first_;
  while (piece != nullptr && piece->data != nullptr) piece = piece->next;
  return piece != nullptr;
}

IoResult OutputQueue::send(OutputPool& pool, Stream& stream, std::size_t most) {
  if (begins_with_file()) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(first_->size, most));
    const IoResult result = stream.send_file(first_->file, first_->offset, count);
    // A file that became shorter than what its header promised: the connection is of no use any more.
    if (result.status == IoStatus::kEnd) return {IoStatus::kFailed, 0};
    if (result.status == IoStatus::kDone) {
      first_->offset += static_cast<off_t>(result.bytes);
      first_->size -= result.bytes;
      if (first_->size == 0) pop(pool);
    }
    return result;
  }
  std::array<iovec, kPiecesPerCall> parts;
  const auto [count, is_all] = gather(first_, most, parts);
  const IoResult result = stream.send({parts.data(), count});
  if (result.status == IoStatus::kDone) consume(pool, result.bytes);
  return result;
}

void OutputQueue::consume(OutputPool& pool, std::size_t bytes) {
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
  OutputPiece* piece = std::exchange(first_, first_->next);
  if (first_ == nullptr) last_ = nullptr;
  pool.give_back(piece);
}

void OutputQueue::clear(OutputPool& pool) {
  while (first_ != nullptr) pop(pool);
  bytes_ = 0;
}

}  // namespace websockets
