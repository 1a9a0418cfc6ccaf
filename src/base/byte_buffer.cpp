// SPDX-License-Identifier: MIT
#include "base/byte_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace websockets {

namespace {

constexpr std::size_t kSmallestBytes = 64;

}  // namespace

ByteBuffer::ByteBuffer(ByteBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

ByteBuffer& ByteBuffer::operator=(ByteBuffer&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
  }
  return *this;
}

void ByteBuffer::append(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) {
    return;
  }
  std::memcpy(prepare(bytes.size()).data(), bytes.data(), bytes.size());
  size_ += bytes.size();
}

void ByteBuffer::reserve(std::size_t capacity) {
  if (capacity <= capacity_) {
    return;
  }
  // realloc() moves large blocks by remapping their pages, without touching the bytes.
  void* const grown = std::realloc(data_, capacity);
  if (grown == nullptr) {
    throw std::bad_alloc();
  }
  data_ = static_cast<std::uint8_t*>(grown);
  capacity_ = capacity;
}

std::span<std::uint8_t> ByteBuffer::prepare(std::size_t count) {
  if (count > capacity_ - size_) {
    if (count > std::numeric_limits<std::size_t>::max() / 2 - size_) {
      throw std::bad_alloc();
    }
    reserve(std::max({size_ + count, 2 * capacity_, kSmallestBytes}));
  }
  return {data_ + size_, capacity_ - size_};
}

void ByteBuffer::consume(std::size_t count) {
  size_ -= count;
  if (size_ != 0 && count != 0) {
    std::memmove(data_, data_ + count, size_);
  }
}

void ByteBuffer::release() {
  std::free(data_);
  data_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

}  // namespace websockets
