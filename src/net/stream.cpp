// SPDX-License-Identifier: MIT
#include "net/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#include <pthread.h>
#include <sys/sendfile.h>
#define WEBSOCKETS_HAVE_SENDFILE
#endif

#include "base/interrupted.h"
#include "net/socket_flags.h"

namespace websockets {
namespace {

#ifdef WEBSOCKETS_HAVE_SENDFILE
// Holds SIGPIPE back from the calling thread, and takes off what has come meanwhile.
class PipeSignalGuard {
 public:
  PipeSignalGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    // Only one that was blocked before can be pending; it is not ours.
    sigset_t pending;
    was_pending_ =
        sigismember(&before_, SIGPIPE) == 1 && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }
  ~PipeSignalGuard() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  PipeSignalGuard(const PipeSignalGuard&) = delete;
  PipeSignalGuard& operator=(const PipeSignalGuard&) = delete;

  void take_signal() {
    constexpr timespec kNoWait{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &kNoWait);
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_;
};

// sendfile(2) knows no MSG_NOSIGNAL, and what the process does at SIGPIPE is not ours to change.
ssize_t sendfile_without_signal(int socket, int file, off_t offset, std::size_t count) {
  PipeSignalGuard guard;
  const ssize_t sent = retry_interrupted([&] {
    off_t from = offset;
    return ::sendfile(socket, file, &from, count);
  });
  const int error = errno;
  // Also when a part was sent: the signal is for the rest then.
  if (sent != static_cast<ssize_t>(count)) guard.take_signal();
  errno = error;
  return sent;
}
#endif

}  // namespace

IoResult Stream::receive(std::span<std::uint8_t> into) {
  return tls_ != nullptr ? receive_tls(into) : receive_plain(into, 0);
}

IoResult Stream::peek(std::span<std::uint8_t> into) { return receive_plain(into, MSG_PEEK); }

void Stream::skip(std::size_t count) {
  std::array<std::uint8_t, 1024> bytes;
  while (count > 0) {
    const IoResult result = receive_plain(std::span(bytes).first(std::min(count, bytes.size())), 0);
    if (result.status != IoStatus::kDone) return;
    count -= result.bytes;
  }
}

IoResult Stream::receive_plain(std::span<std::uint8_t> into, int flags) {
  ssize_t count = retry_interrupted([&] { return ::recv(fd_.get(), into.data(), into.size(), flags); });
  if (count > 0) return {IoStatus::kDone, static_cast<std::size_t>(count)};
  if (count == 0) return {IoStatus::kEnd, 0};
  return io_failure(errno);
}

IoResult Stream::send(std::span<const iovec> parts) {
  if (tls_ != nullptr) return send_parts_tls(parts);
  ssize_t count = retry_interrupted([&] {
    if (parts.size() == 1) return ::send(fd_.get(), parts[0].iov_base, parts[0].iov_len, kNoSignal);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(std::min<std::size_t>(parts.size(), IOV_MAX));
    return ::sendmsg(fd_.get(), &message, kNoSignal);
  });
  if (count >= 0) return {IoStatus::kDone, static_cast<std::size_t>(count)};
  return io_failure(errno);
}

// For TLS, and where the system cannot send from the file itself.
IoResult Stream::send_block_of_file(int file, off_t offset, std::size_t count) {
  std::array<std::uint8_t, 16384> block;
  const ssize_t got =
      retry_interrupted([&] { return ::pread(file, block.data(), std::min(count, block.size()), offset); });
  if (got == 0) return {IoStatus::kEnd, 0};
  if (got < 0) return {IoStatus::kFailed, 0};
  const iovec part{block.data(), static_cast<std::size_t>(got)};
  return send({&part, 1});
}

IoResult Stream::send_file(int file, off_t offset, std::size_t count) {
#ifdef WEBSOCKETS_HAVE_SENDFILE
  if (tls_ == nullptr) {
    const ssize_t sent = sendfile_without_signal(fd_.get(), file, offset, count);
    if (sent > 0) return {IoStatus::kDone, static_cast<std::size_t>(sent)};
    if (sent == 0) return {IoStatus::kEnd, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {IoStatus::kWouldBlock, 0};
    // Some file systems cannot do it, some sandboxes do not allow it. Of a connection that is lost, send() says so.
  }
#endif
  return send_block_of_file(file, offset, count);
}

}  // namespace websockets
