// SPDX-License-Identifier: MIT
#include "cluster/fork_link.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/interrupted.h"
#include "net/failed_wait.h"
#include "net/io_result.h"
#include "net/socket_flags.h"
#include "net/stream_socket.h"

namespace websockets {

// At the front of the shared memory. Positions only grow; a position's place in the ring is its remainder.
struct ForkLink::Control {
  std::atomic<std::uint64_t> written{0};  // by the sender
  std::atomic<std::uint64_t> taken{0};    // by the receiver
  // A message that ends here was given up by the sender, however much of it is missing.
  std::atomic<std::uint64_t> given_up{~std::uint64_t{0}};
  std::atomic<bool> sender_waits{false};
};

struct ForkLink::RecordHeader {
  std::uint64_t size;
  std::uint32_t tag;
  std::uint32_t unused;
};

namespace {

constexpr std::size_t kControlBytes = 4096;
constexpr std::uint64_t kLongestPollMs = 60'000;
constexpr std::size_t kPieceBytes = 64U << 10U;
// A receiver holds at most so much room for a message before its bytes are there.
constexpr std::size_t kReservedBytes = 16U << 20U;

std::size_t memory_size(std::size_t capacity) { return kControlBytes + capacity; }

}  // namespace

Result<std::unique_ptr<ForkLink>> ForkLink::create(std::size_t capacity) {
  static_assert(sizeof(Control) <= kControlBytes && std::atomic<std::uint64_t>::is_always_lock_free);
  capacity += kPieceBytes;  // so that the headers of what waits have room, too
  Result<std::array<UniqueFd, 2>> ends = make_socket_pair("no link");
  if (!ends) return ends.error();
  // Pages are only taken when they are used.
  void* memory = ::mmap(nullptr, memory_size(capacity), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return system_error("no link");
  std::unique_ptr<ForkLink> link(new (std::nothrow)
                                     ForkLink(memory, capacity, std::move((*ends)[0]), std::move((*ends)[1])));
  if (link == nullptr) {
    ::munmap(memory, memory_size(capacity));
    return Error{"no link: memory is short", ENOMEM};
  }
  return link;
}

ForkLink::ForkLink(void* memory, std::size_t capacity, UniqueFd sender, UniqueFd receiver)
    : control_(new (memory) Control),
      ring_(static_cast<std::uint8_t*>(memory) + kControlBytes),
      capacity_(capacity),
      socket_(std::move(sender)),
      receiver_(std::move(receiver)) {}

ForkLink::~ForkLink() { ::munmap(control_, memory_size(capacity_)); }

void ForkLink::become_sender() { receiver_.reset(); }

void ForkLink::become_receiver() { socket_ = std::move(receiver_); }

std::size_t ForkLink::used() const { return static_cast<std::size_t>(control_->written - control_->taken); }

void ForkLink::put(std::uint64_t position, std::span<const std::uint8_t> bytes) {
  const std::size_t place = static_cast<std::size_t>(position % capacity_);
  const std::size_t first = std::min(bytes.size(), capacity_ - place);
  std::memcpy(ring_ + place, bytes.data(), first);
  std::memcpy(ring_, bytes.data() + first, bytes.size() - first);
}

void ForkLink::get(std::uint64_t position, std::span<std::uint8_t> bytes) const {
  const std::size_t place = static_cast<std::size_t>(position % capacity_);
  const std::size_t first = std::min(bytes.size(), capacity_ - place);
  std::memcpy(bytes.data(), ring_ + place, first);
  std::memcpy(bytes.data() + first, ring_, bytes.size() - first);
}

// False: the other side is gone. When the socket is full it has been woken often enough.
bool ForkLink::wake() {
  const char byte = 0;
  return ::send(socket_.get(), &byte, 1, kNoSignal) == 1 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

bool ForkLink::drain() {
  std::array<char, 4096> bytes;  // more than there is as a rule; the rest keeps the descriptor readable
  const ssize_t count = retry_interrupted([&] { return ::recv(socket_.get(), bytes.data(), bytes.size(), 0); });
  const bool is_open = count > 0 || (count < 0 && io_failure(errno).status == IoStatus::kWouldBlock);
  ended_ = ended_ || !is_open;
  return count > 0;
}

// Until the other side has said something, or for a while.
void ForkLink::wait(std::uint64_t timeout_ms) {
  const int wait_ms = static_cast<int>(std::min(timeout_ms, kLongestPollMs));
  pollfd entry{socket_.get(), POLLIN, 0};
  const bool is_heard = ::poll(&entry, 1, wait_ms) != 0;
  if (!drain() && is_heard && !ended_) pause_after_failed_wait(wait_ms);
}

// --- The sender ---

// Waits until `wanted` bytes have room; what the receiver takes meanwhile starts the time anew.
ForkLink::Status ForkLink::wait_for_room(std::size_t wanted, std::uint64_t timeout_ms) {
  std::uint64_t taken = control_->taken;
  std::uint64_t deadline_ms = monotonic_ms() + timeout_ms;
  while (capacity_ - used() < wanted) {
    control_->sender_waits = true;
    if (capacity_ - used() >= wanted) break;
    const std::uint64_t now_ms = monotonic_ms();
    if (std::exchange(taken, control_->taken.load()) != taken) {
      deadline_ms = now_ms + timeout_ms;
    }
    if (now_ms >= deadline_ms) return Status::kBusy;
    wait(deadline_ms - now_ms);
    if (ended_) return Status::kClosed;
  }
  return Status::kSent;
}

ForkLink::Status ForkLink::send(std::uint32_t tag, std::span<const std::uint8_t> data, std::uint64_t timeout_ms) {
  if (ended_) return Status::kClosed;
  const RecordHeader header{data.size(), tag, 0};
  const std::size_t total = sizeof header + data.size();
  const Status room = wait_for_room(std::min(total, capacity_), timeout_ms);
  if (room != Status::kSent) return room;
  if (total > capacity_) return send_in_pieces(header, data, timeout_ms);

  const std::uint64_t position = control_->written;
  put(position, {reinterpret_cast<const std::uint8_t*>(&header), sizeof header});
  put(position + sizeof header, data);
  control_->written = position + total;
  return wake() ? Status::kSent : Status::kClosed;
}

// For what is larger than the ring, once that is empty.
ForkLink::Status ForkLink::send_in_pieces(const RecordHeader& header, std::span<const std::uint8_t> data,
                                          std::uint64_t timeout_ms) {
  put(control_->written, {reinterpret_cast<const std::uint8_t*>(&header), sizeof header});
  control_->written += sizeof header;
  while (!data.empty()) {
    const std::span<const std::uint8_t> piece = data.first(std::min(data.size(), kPieceBytes));
    const Status room = wait_for_room(piece.size(), timeout_ms);
    if (room != Status::kSent) {
      control_->given_up = control_->written.load();
      return room;
    }
    put(control_->written, piece);
    control_->written += piece.size();
    data = data.subspan(piece.size());
    if (!wake()) return Status::kClosed;
  }
  return Status::kSent;
}

bool ForkLink::finish(std::uint64_t timeout_ms) {
  ::shutdown(socket_.get(), SHUT_WR);
  const std::uint64_t deadline_ms = monotonic_ms() + timeout_ms;
  drain();
  while (!ended_) {
    const std::uint64_t now_ms = monotonic_ms();
    if (now_ms >= deadline_ms) return false;
    wait(deadline_ms - now_ms);
  }
  return true;
}

// --- The receiver ---

void ForkLink::advance(std::size_t bytes) {
  control_->taken += bytes;
  if (control_->sender_waits.exchange(false)) wake();
}

// False: the next one is not there yet.
bool ForkLink::begin_message() {
  RecordHeader header;
  if (used() < sizeof header) return false;
  get(control_->taken, {reinterpret_cast<std::uint8_t*>(&header), sizeof header});
  if (message_.capacity() > kReservedBytes) message_ = {};  // what a very large one took is given back
  message_.clear();
  message_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(header.size, kReservedBytes)));
  advance(sizeof header);
  in_message_ = true;
  missing_ = header.size;
  tag_ = header.tag;
  return true;
}

// Takes what is there of the message. False: that is nothing.
bool ForkLink::continue_message() {
  const std::uint64_t taken = control_->taken;
  std::uint64_t available = used();
  const std::uint64_t given_up = control_->given_up;  // after `available`, which may hold what follows it otherwise
  if (given_up == taken) {
    in_message_ = false;
    return true;
  }
  if (given_up > taken) available = std::min(available, given_up - taken);
  if (available == 0) return false;
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>({available, missing_, kPieceBytes}));
  const std::size_t before = message_.size();
  message_.resize(before + count);
  get(taken, std::span(message_).subspan(before));
  missing_ -= count;
  advance(count);
  return true;
}

bool ForkLink::receive(std::uint32_t& tag, std::span<const std::uint8_t>& data) {
  while (!in_message_ || missing_ > 0) {
    if (!(in_message_ ? continue_message() : begin_message())) return false;
  }
  in_message_ = false;
  tag = tag_;
  data = message_;
  return true;
}

}  // namespace websockets
