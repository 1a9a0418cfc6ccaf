// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace websockets {

// A growable run of bytes that, unlike std::vector, neither clears what it grows by nor keeps memory when
// it was emptied by release(). Throws std::bad_alloc when memory is short; it is then as it was before.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ~ByteBuffer() { release(); }
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ByteBuffer(ByteBuffer&& other) noexcept;
  ByteBuffer& operator=(ByteBuffer&& other) noexcept;

  std::uint8_t* data() { return data_; }
  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::span<std::uint8_t> bytes() { return {data_, size_}; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

  void append(std::span<const std::uint8_t> bytes);

  // Makes the capacity at least `capacity`, and not more: append() and prepare() grow by doubling, this does not.
  void reserve(std::size_t capacity);

  // Makes room for at least `count` more bytes and returns all the room there is behind the contents.
  // commit() then takes the first of them into the contents.
  std::span<std::uint8_t> prepare(std::size_t count);
  void commit(std::size_t count) { size_ += count; }

  // Removes the first `count` bytes, which must be there.
  void consume(std::size_t count);

  // Drops what is behind the first `size` bytes, which must be there.
  void truncate(std::size_t size) { size_ = size; }

  // Empties it; clear() keeps the memory, release() gives it back.
  void clear() { size_ = 0; }
  void release();

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace websockets
