// SPDX-License-Identifier: MIT
#include "cluster/control_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/interrupted.h"
#include "loop/loop.h"
#include "net/io_result.h"
#include "net/socket_flags.h"

namespace websockets {
namespace {

struct Header {
  std::uint32_t kind;
  std::uint32_t number;
  std::uint64_t time_ms;
  std::uint64_t text_bytes;
};

}  // namespace

ControlChannel::ControlChannel(UniqueFd end, Loop& loop, ControlHandler& handler)
    : Pollable(end.get()), end_(std::move(end)), loop_(loop), handler_(handler) {}

bool ControlChannel::open() {
  is_watched_ = loop_.watch_internal(*this);
  return is_watched_;
}

void ControlChannel::close() {
  if (end_ && std::exchange(is_watched_, false)) loop_.unwatch_internal(*this);
  end_.reset();
}

// It is far smaller than what the kernel holds, which takes it as a whole or not at all.
void ControlChannel::send(const ControlMessage& message) const {
  const std::string_view text = std::string_view(message.text).substr(0, ControlMessage::kMostText);
  const Header header{static_cast<std::uint32_t>(message.kind), message.number, message.time_ms, text.size()};
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.append(text);
  retry_interrupted([&] { return ::send(end_.get(), bytes.data(), bytes.size(), kNoSignal); });
}

// False: there will be no more.
bool ControlChannel::receive() {
  std::array<char, ControlMessage::kMostText> bytes;
  ssize_t count = 0;
  do {
    count = retry_interrupted([&] { return ::recv(end_.get(), bytes.data(), bytes.size(), 0); });
    if (count > 0) received_.append(bytes.data(), static_cast<std::size_t>(count));
  } while (count == static_cast<ssize_t>(bytes.size()));
  return count > 0 || (count < 0 && io_failure(errno).status == IoStatus::kWouldBlock);
}

bool ControlChannel::take(ControlMessage& message) {
  Header header;
  if (received_.size() < sizeof header) return false;
  std::memcpy(&header, received_.data(), sizeof header);
  const std::size_t bytes = sizeof header + static_cast<std::size_t>(header.text_bytes);
  if (received_.size() < bytes) return false;
  message = {static_cast<ControlMessage::Kind>(header.kind), header.number, header.time_ms,
             received_.substr(sizeof header, bytes - sizeof header)};
  received_.erase(0, bytes);
  return true;
}

void ControlChannel::on_ready(unsigned) {
  if (!end_) return;
  const bool is_open = receive();
  ControlMessage message;
  while (end_ && take(message)) handler_.on_message(*this, message);
  if (is_open || !end_) return;
  close();
  handler_.on_end(*this);
}

}  // namespace websockets
