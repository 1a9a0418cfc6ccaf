// SPDX-License-Identifier: MIT
#include "cluster/handover_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/interrupted.h"
#include "net/io_result.h"
#include "net/socket_flags.h"

namespace websockets {
namespace {

// The two versions may be linked with different versions of this library: a format that differs has another number.
constexpr std::uint8_t kFormat = 1;

struct Head {
  std::uint8_t format;
  HandoverKind kind;
  std::uint16_t descriptor_count;
  std::uint32_t text_bytes;
};

struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(HandoverSocket::kMostDescriptors * sizeof(int))> bytes{};
};

bool is_known(const Head& head) {
  return head.format == kFormat && head.descriptor_count <= HandoverSocket::kMostDescriptors &&
         head.text_bytes <= HandoverSocket::kMostTextBytes;
}

HandoverSocket::Status failed_status() {
  return io_failure(errno).status == IoStatus::kWouldBlock ? HandoverSocket::Status::kWouldBlock
                                                           : HandoverSocket::Status::kClosed;
}

void attach(msghdr& message, Control& control, std::span<const int> descriptors) {
  if (descriptors.empty()) return;
  message.msg_control = control.bytes.data();
  message.msg_controllen = static_cast<decltype(message.msg_controllen)>(CMSG_SPACE(descriptors.size_bytes()));
  cmsghdr* const part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = static_cast<decltype(part->cmsg_len)>(CMSG_LEN(descriptors.size_bytes()));
  std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
}

void take_descriptors(msghdr& message, std::deque<UniqueFd>& descriptors) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      descriptors.emplace_back(fd);
    }
  }
}

}  // namespace

void HandoverSocket::close() {
  fd_.reset();
  descriptors_.clear();
}

HandoverSocket::Status HandoverSocket::flush() {
  while (!unsent_.empty()) {
    const ssize_t count =
        retry_interrupted([&] { return ::send(fd_.get(), unsent_.data(), unsent_.size(), kNoSignal); });
    if (count < 0) return failed_status();
    unsent_.erase(0, static_cast<std::size_t>(count));
  }
  return Status::kDone;
}

HandoverSocket::Status HandoverSocket::send(HandoverKind kind, std::string_view text,
                                            std::span<const int> descriptors) {
  if (const Status status = flush(); status != Status::kDone) return status;
  text = text.substr(0, kMostTextBytes);
  const Head head{kFormat, kind, static_cast<std::uint16_t>(descriptors.size()),
                  static_cast<std::uint32_t>(text.size())};
  std::string bytes(sizeof head, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  bytes.append(text);

  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Control control;
  attach(message, control, descriptors);
  const ssize_t count = retry_interrupted([&] { return ::sendmsg(fd_.get(), &message, kNoSignal); });
  if (count < 0) return failed_status();
  unsent_ = bytes.substr(static_cast<std::size_t>(count));
  return Status::kDone;
}

HandoverSocket::Status HandoverSocket::receive(HandoverMessage& message) {
  while (!take_message(message)) {
    if (is_broken_) return Status::kClosed;
    if (const Status status = receive_some(); status != Status::kDone) return status;
  }
  return Status::kDone;
}

HandoverSocket::Status HandoverSocket::receive_some() {
  std::array<char, 4096> bytes;
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Control control;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
#ifdef MSG_CMSG_CLOEXEC
  constexpr int kFlags = MSG_CMSG_CLOEXEC;
#else
  constexpr int kFlags = 0;
#endif
  const ssize_t count = retry_interrupted([&] { return ::recvmsg(fd_.get(), &message, kFlags); });
  if (count < 0) return failed_status();
  take_descriptors(message, descriptors_);
  // The process may open no more descriptors.
  if ((message.msg_flags & MSG_CTRUNC) != 0) is_broken_ = true;
  if (count == 0) return Status::kClosed;
  received_.append(bytes.data(), static_cast<std::size_t>(count));
  return Status::kDone;
}

bool HandoverSocket::take_message(HandoverMessage& message) {
  Head head;
  if (is_broken_ || received_.size() < sizeof head) return false;
  std::memcpy(&head, received_.data(), sizeof head);
  is_broken_ = !is_known(head);
  if (is_broken_ || received_.size() < sizeof head + head.text_bytes) return false;
  // They come with the first byte of their message.
  is_broken_ = descriptors_.size() < head.descriptor_count;
  if (is_broken_) return false;
  message.kind = head.kind;
  message.text = received_.substr(sizeof head, head.text_bytes);
  received_.erase(0, sizeof head + head.text_bytes);
  message.descriptors.clear();
  for (std::size_t i = 0; i < head.descriptor_count; ++i) {
    message.descriptors.push_back(std::move(descriptors_.front()));
    descriptors_.pop_front();
  }
  return true;
}

}  // namespace websockets
