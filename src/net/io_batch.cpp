// SPDX-License-Identifier: MIT
#include "net/io_batch.h"

#include <cerrno>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE) && __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#endif

#ifdef IORING_FEAT_FAST_POLL  // Linux 5.7; receiving and sending came shortly before it

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>

#include "base/unique_fd.h"
#include "net/socket_flags.h"

namespace websockets {
namespace {

// Then the kernel is not asked any more: it may answer EINTR each time.
constexpr int kMostRefusals = 16;

// Memory that is shared with the kernel.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping() {
    if (address_ != MAP_FAILED) ::munmap(address_, bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  bool map(std::size_t bytes, int fd, off_t offset) {
    bytes_ = bytes;
    address_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    return address_ != MAP_FAILED;
  }
  template <typename Type>
  Type* at(std::size_t offset) const {
    return reinterpret_cast<Type*>(static_cast<std::uint8_t*>(address_) + offset);
  }

 private:
  void* address_ = MAP_FAILED;
  std::size_t bytes_ = 0;
};

IoResult to_io_result(int result) {
  if (result > 0) return {IoStatus::kDone, static_cast<std::size_t>(result)};
  return result == 0 ? IoResult{IoStatus::kEnd, 0} : io_failure(-result);
}

// See io_uring(7): the kernel takes entries from the submission queue, and puts their results into the completion
// queue. Each end of a queue is a counter that only one side moves on.
class Ring final : public IoBatch {
 public:
  bool open() {
    io_uring_params params{};
    fd_ = UniqueFd(static_cast<int>(::syscall(SYS_io_uring_setup, kMost, &params)));
    if (!fd_) return false;
    constexpr unsigned kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_FAST_POLL;
    if ((params.features & kNeeded) != kNeeded) {
      errno = ENOSYS;
      return false;
    }
    const std::size_t submission_bytes = params.sq_off.array + (params.sq_entries * sizeof(std::uint32_t));
    const std::size_t completion_bytes = params.cq_off.cqes + (params.cq_entries * sizeof(io_uring_cqe));
    if (!queues_.map(std::max(submission_bytes, completion_bytes), fd_.get(), IORING_OFF_SQ_RING) ||
        !entries_.map(params.sq_entries * sizeof(io_uring_sqe), fd_.get(), IORING_OFF_SQES)) {
      return false;
    }
    submission_tail_ = queues_.at<std::uint32_t>(params.sq_off.tail);
    submission_mask_ = *queues_.at<std::uint32_t>(params.sq_off.ring_mask);
    completion_head_ = queues_.at<std::uint32_t>(params.cq_off.head);
    completion_tail_ = queues_.at<std::uint32_t>(params.cq_off.tail);
    completion_mask_ = *queues_.at<std::uint32_t>(params.cq_off.ring_mask);
    completions_ = queues_.at<io_uring_cqe>(params.cq_off.cqes);
    auto* const order = queues_.at<std::uint32_t>(params.sq_off.array);
    for (std::uint32_t i = 0; i < params.sq_entries; ++i) order[i] = i;
    return true;
  }

  void add_receive(int fd) override {
    io_uring_sqe& entry = add(IORING_OP_RECV, fd);
    entry.addr = reinterpret_cast<std::uintptr_t>(input_[size_ - 1].data());
    entry.len = kReceiveBytes;
    entry.msg_flags = MSG_DONTWAIT;
  }

  void add_send(int fd, std::span<const iovec> parts) override {
    io_uring_sqe& entry = add(parts.size() == 1 ? IORING_OP_SEND : IORING_OP_SENDMSG, fd);
    entry.msg_flags = MSG_DONTWAIT | kNoSignal;
    if (parts.size() == 1) {
      entry.addr = reinterpret_cast<std::uintptr_t>(parts[0].iov_base);
      entry.len = static_cast<std::uint32_t>(parts[0].iov_len);
      return;
    }
    std::array<iovec, kMostParts>& copy = parts_[size_ - 1];
    std::copy(parts.begin(), parts.end(), copy.begin());
    msghdr& message = messages_[size_ - 1];
    message = {};
    message.msg_iov = copy.data();
    message.msg_iovlen = parts.size();
    entry.addr = reinterpret_cast<std::uintptr_t>(&message);
    entry.len = 1;
  }

  std::size_t size() const override { return size_; }
  bool works() const { return works_; }

  std::span<const IoResult> run() override {
    std::fill_n(results_.begin(), size_, IoResult{IoStatus::kWouldBlock, 0});
    std::atomic_ref(*submission_tail_).store(tail_, std::memory_order_release);
    std::uint32_t to_submit = size_;
    std::uint32_t to_complete = size_;
    int refusals = 0;
    while (to_complete > 0 && refusals < kMostRefusals) {
      const long submitted = ::syscall(SYS_io_uring_enter, fd_.get(), to_submit, to_complete, IORING_ENTER_GETEVENTS,
                                       nullptr, std::size_t{0});
      if (submitted >= 0) {
        to_submit -= static_cast<std::uint32_t>(submitted);
      } else if (++refusals == kMostRefusals || errno != EINTR) {
        works_ = errno == EAGAIN || errno == EBUSY || errno == ENOMEM;
        tail_ -= to_submit;
        std::atomic_ref(*submission_tail_).store(tail_, std::memory_order_release);
        to_complete -= std::exchange(to_submit, 0U);
      }
      to_complete -= take_completions();
    }
    works_ = works_ && to_complete == 0;
    return std::span(results_).first(std::exchange(size_, 0U));
  }

  std::span<std::uint8_t> received(std::size_t number) override {
    return std::span(input_[number]).first(results_[number].bytes);
  }

 private:
  io_uring_sqe& add(std::uint8_t operation, int fd) {
    io_uring_sqe& entry = entries_.at<io_uring_sqe>(0)[tail_++ & submission_mask_];
    entry = {};
    entry.opcode = operation;
    entry.fd = fd;
    entry.user_data = size_++;
    return entry;
  }

  std::uint32_t take_completions() {
    const std::uint32_t head = *completion_head_;
    const std::uint32_t tail = std::atomic_ref(*completion_tail_).load(std::memory_order_acquire);
    for (std::uint32_t i = head; i != tail; ++i) {
      const io_uring_cqe& completion = completions_[i & completion_mask_];
      results_[completion.user_data] = to_io_result(completion.res);
    }
    std::atomic_ref(*completion_head_).store(tail, std::memory_order_release);
    return tail - head;
  }

  UniqueFd fd_;
  Mapping queues_;
  Mapping entries_;
  std::uint32_t* submission_tail_ = nullptr;
  std::uint32_t submission_mask_ = 0;
  std::uint32_t* completion_head_ = nullptr;
  std::uint32_t* completion_tail_ = nullptr;
  std::uint32_t completion_mask_ = 0;
  io_uring_cqe* completions_ = nullptr;
  bool works_ = true;  // else the process was forbidden to use it
  std::uint32_t tail_ = 0;
  std::uint32_t size_ = 0;
  std::array<IoResult, kMost> results_{};
  // Each somewhat longer, or all of them would fall into the same sets of the cache.
  std::array<std::array<std::uint8_t, kReceiveBytes + 64>, kMost> input_{};
  std::array<msghdr, kMost> messages_{};
  std::array<std::array<iovec, kMostParts>, kMost> parts_{};
};

// A child shares the memory of its parent's, and must make one of its own.
std::atomic<unsigned> fork_count{0};

struct OfThread {
  std::unique_ptr<Ring> ring;  // null: borrowed, or there is none
  const Ring* made = nullptr;
  int error = 0;  // why that is so
  unsigned fork_count = ~0U;
};

// Null when memory is short. Not thread_local: LeakSanitizer cannot look into that of a module while a thread ends.
OfThread* of_this_thread() {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    ::pthread_key_create(&made, [](void* of_thread) { delete static_cast<OfThread*>(of_thread); });
    return made;
  }();
  auto* of_thread = static_cast<OfThread*>(::pthread_getspecific(key));
  if (of_thread == nullptr) {
    of_thread = new (std::nothrow) OfThread;
    if (::pthread_setspecific(key, of_thread) != 0) {
      delete of_thread;
      return nullptr;
    }
  }
  return of_thread;
}

std::unique_ptr<Ring> make_ring() {
  static const int is_told_of_forks = ::pthread_atfork(nullptr, nullptr, [] { ++fork_count; });
  std::unique_ptr<Ring> ring(new (std::nothrow) Ring);
  if (is_told_of_forks != 0 || ring == nullptr) {
    errno = ENOMEM;
    return nullptr;
  }
  if (!ring->open()) ring.reset();
  return ring;
}

}  // namespace

BorrowedBatch IoBatch::take() {
  OfThread* const mine = of_this_thread();
  errno = ENOMEM;
  if (mine == nullptr) return nullptr;
  if (mine->fork_count != fork_count) {
    std::unique_ptr<Ring> ring = make_ring();
    const bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    if (ring == nullptr && is_short) return nullptr;  // may be better another time
    const Ring* const made = ring.get();
    *mine = {std::move(ring), made, made == nullptr ? errno : EBUSY, fork_count};
  }
  errno = mine->error;
  return BorrowedBatch(mine->ring.release());
}

void BatchReturner::operator()(IoBatch* batch) const {
  std::unique_ptr<Ring> ring(static_cast<Ring*>(batch));
  OfThread* const mine = of_this_thread();
  // Not what was borrowed before the process was forked.
  if (mine != nullptr && ring->works() && ring.get() == mine->made) mine->ring = std::move(ring);
}

}  // namespace websockets

#else

namespace websockets {

BorrowedBatch IoBatch::take() {
  errno = ENOSYS;
  return nullptr;
}

void BatchReturner::operator()(IoBatch* batch) const { delete batch; }

}  // namespace websockets

#endif
