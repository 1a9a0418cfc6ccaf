// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace websockets {

// What an old version of a program and its new one tell each other.
enum class HandoverKind : std::uint8_t {
  kListeners = 1,     // descriptors; `text`: the name of all of them
  kListenersAndFile,  // the same, and the file of that name is the new one's once it is ready
  kEnd,               // of the listeners
  kReady,             // `text`: the number of the process that serves
  kFailed,            // `text`: why
};

struct HandoverMessage {
  HandoverKind kind{};
  std::string text;
  std::vector<UniqueFd> descriptors;
};

// One end of a socket pair (AF_UNIX, SOCK_STREAM) between two versions of a program. Messages arrive whole and in
// order.
class HandoverSocket {
 public:
  // What is too many for one message has to be sent by several.
  static constexpr std::size_t kMostDescriptors = 64;
  static constexpr std::size_t kMostTextBytes = 4096;

  explicit HandoverSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  // Of what was received, too.
  void close();

  enum class Status : std::uint8_t { kDone, kWouldBlock, kClosed };
  // What it was given is not lost by kWouldBlock when the socket takes only a part: flush() sends the rest. The
  // descriptors stay the caller's. A text that is too long is cut.
  Status send(HandoverKind kind, std::string_view text, std::span<const int> descriptors = {});
  Status flush();
  // kClosed: the other end is gone, or speaks another language. Descriptors are close-on-exec.
  Status receive(HandoverMessage& message);

 private:
  Status receive_some();
  bool take_message(HandoverMessage& message);

  UniqueFd fd_;
  std::string unsent_;
  std::string received_;
  std::deque<UniqueFd> descriptors_;  // of received_
  bool is_broken_ = false;
};

}  // namespace websockets
