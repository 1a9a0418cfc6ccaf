// SPDX-License-Identifier: MIT
#include "cluster/broadcast_ring.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace websockets {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::size_t kControlBytes = 4096;
constexpr std::size_t kPageBytes = 4096;
// What is larger is given back when it is not needed.
constexpr std::size_t kKeptWords = (1U << 20U) / kWordBytes;

constexpr std::uint64_t words_of(std::uint64_t bytes) { return bytes / kWordBytes + (bytes % kWordBytes != 0 ? 1 : 0); }

}  // namespace

// At the front of the memory. Positions count words, and only grow: a position's place in the ring is its remainder. In
// 64 bits they never begin anew.
struct BroadcastRing::Control {
  // What lies further than the ring's size in front of this is overwritten, or about to be.
  std::atomic<std::uint64_t> reserved;
  // Up to here records are complete.
  std::atomic<std::uint64_t> committed;
  // Where the last complete record begins, or one before it.
  std::atomic<std::uint64_t> newest;
};

// In front of the head and the body, each of which fills its last word with zeros.
struct BroadcastRing::Header {
  static constexpr std::size_t kWords = 4;
  static constexpr std::uint64_t kPad = ~std::uint64_t{0};  // a tag: nothing but room

  std::uint64_t position;  // its own: whatever else may lie here is no header
  std::uint64_t tag;
  std::uint64_t head_bytes;
  std::uint64_t body_bytes;

  std::uint64_t words() const { return kWords + words_of(head_bytes) + words_of(body_bytes); }
  bool is_sound(std::uint64_t at, std::uint64_t available) const { return position == at && words() <= available; }
};

std::size_t BroadcastRing::memory_bytes(std::size_t max_bytes) {
  const std::size_t record_bytes = (Header::kWords + 2) * kWordBytes + max_bytes;
  return kControlBytes + (2 * record_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// The memory is seen as atomics without being made such one by one, which would touch all of it: a lock-free atomic is
// nothing but its word.
BroadcastRing::BroadcastRing(void* memory, std::size_t max_bytes)
    : max_bytes_(max_bytes),
      capacity_((memory_bytes(max_bytes) - kControlBytes) / kWordBytes),
      control_(static_cast<Control*>(memory)),
      words_(reinterpret_cast<Word*>(static_cast<std::uint8_t*>(memory) + kControlBytes)) {
  static_assert(Word::is_always_lock_free && sizeof(Word) == kWordBytes && sizeof(Control) <= kControlBytes);
}

// --- The sender ---

// Every word of a record is an atomic: a reader may be copying what is overwritten here. It finds that out afterwards,
// but what it does until then has to have a meaning, too, which memcpy would not give it.
void BroadcastRing::put(std::uint64_t position, std::span<const std::uint8_t> bytes) {
  std::size_t place = static_cast<std::size_t>(position % capacity_);
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), (capacity_ - place) * kWordBytes);
    Word* to = words_ + place;
    const std::uint8_t* from = bytes.data();
    std::uint64_t word;
    for (std::size_t i = 0; i < count / kWordBytes; ++i, from += kWordBytes) {
      std::memcpy(&word, from, kWordBytes);
      (to++)->store(word, std::memory_order_relaxed);
    }
    if (count % kWordBytes != 0) {
      word = 0;
      std::memcpy(&word, from, count % kWordBytes);
      to->store(word, std::memory_order_relaxed);
    }
    bytes = bytes.subspan(count);
    place = 0;
  }
}

void BroadcastRing::put(std::uint64_t position, const Header& header) {
  static_assert(sizeof(Header) == Header::kWords * kWordBytes);
  put(position, std::span(reinterpret_cast<const std::uint8_t*>(&header), sizeof header));
}

bool BroadcastRing::write(const Record& record) {
  const std::size_t head = record.head.size();
  const std::size_t body = record.body.size();
  if (head > max_bytes_ || body > max_bytes_ - head) return false;
  const std::uint64_t position = control_->committed.load(std::memory_order_relaxed);
  const std::uint64_t body_position = position + Header::kWords + words_of(head);
  const std::uint64_t end = body_position + words_of(body);
  control_->reserved.store(end, std::memory_order_relaxed);
  // Whoever sees a word of what follows also sees that it was reserved: see Reader::is_lost().
  std::atomic_thread_fence(std::memory_order_release);
  put(position, Header{position, record.tag, head, body});
  put(position + Header::kWords, record.head);
  put(body_position, record.body);
  control_->committed.store(end, std::memory_order_release);
  control_->newest.store(position, std::memory_order_release);
  return true;
}

// Between the two positions lies what was not finished. It may be that the one who recovers dies as well: then all of
// this is done again.
void BroadcastRing::recover() {
  const std::uint64_t position = control_->committed.load(std::memory_order_relaxed);
  const std::uint64_t end = control_->reserved.load(std::memory_order_relaxed);
  if (position == end) return;
  std::atomic_thread_fence(std::memory_order_release);  // as in write()
  put(position, Header{position, Header::kPad, 0, (end - position - Header::kWords) * kWordBytes});
  control_->committed.store(end, std::memory_order_release);
}

// --- Readers ---

std::uint64_t* BroadcastRing::Copy::make_room(std::size_t words) {
  const bool is_much_too_large = size_ > kKeptWords && words <= kKeptWords;
  if (words > size_ || is_much_too_large) {
    const std::size_t size = std::max(words, std::min(2 * size_, kKeptWords));
    words_.reset();
    size_ = 0;
    words_ = std::make_unique_for_overwrite<std::uint64_t[]>(size);
    size_ = size;
  }
  return words_.get();
}

void BroadcastRing::get(std::uint64_t position, std::span<std::uint64_t> words) const {
  std::size_t place = static_cast<std::size_t>(position % capacity_);
  while (!words.empty()) {
    const std::size_t count = std::min(words.size(), capacity_ - place);
    for (std::size_t i = 0; i < count; ++i) words[i] = words_[place + i].load(std::memory_order_relaxed);
    words = words.subspan(count);
    place = 0;
  }
}

BroadcastRing::Header BroadcastRing::header_at(std::uint64_t position) const {
  std::array<std::uint64_t, Header::kWords> words;
  get(position, words);
  return {words[0], words[1], words[2], words[3]};
}

BroadcastRing::Reader::Reader(const BroadcastRing& ring)
    : ring_(&ring), position_(ring.control_->committed.load(std::memory_order_acquire)) {}

bool BroadcastRing::Reader::has_more() const {
  return ring_->control_->committed.load(std::memory_order_acquire) != position_;
}

void BroadcastRing::Reader::skip() { position_ = ring_->control_->committed.load(std::memory_order_acquire); }

// The newest record is there for longer than any other: so a reader that is always too slow still gets something.
void BroadcastRing::Reader::skip_to_newest() {
  const std::uint64_t newest = ring_->control_->newest.load(std::memory_order_acquire);
  if (newest <= position_) return skip();
  position_ = newest;
  if (is_lost()) skip();
}

// Whether the sender has come round to what was copied before: then that may be anything.
bool BroadcastRing::Reader::is_lost() const {
  std::atomic_thread_fence(std::memory_order_acquire);
  return ring_->control_->reserved.load(std::memory_order_relaxed) - position_ > ring_->capacity_;
}

BroadcastRing::Reader::Status BroadcastRing::Reader::read(Copy& copy, Record& record) {
  for (;;) {
    const std::uint64_t available = ring_->control_->committed.load(std::memory_order_acquire) - position_;
    if (available == 0) return Status::kNone;
    const Header header = ring_->header_at(position_);
    if (is_lost() || available > ring_->capacity_ || !header.is_sound(position_, available)) break;
    if (header.tag == Header::kPad) {
      position_ += header.words();
      continue;
    }
    const std::span content(copy.make_room(header.words() - Header::kWords), header.words() - Header::kWords);
    ring_->get(position_ + Header::kWords, content);
    if (is_lost()) break;
    position_ += header.words();
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(content.data()), content.size_bytes());
    record.tag = static_cast<std::uint32_t>(header.tag);
    record.head = bytes.first(header.head_bytes);
    record.body = bytes.subspan(words_of(header.head_bytes) * kWordBytes, header.body_bytes);
    return Status::kRecord;
  }
  skip_to_newest();
  return Status::kGap;
}

}  // namespace websockets
