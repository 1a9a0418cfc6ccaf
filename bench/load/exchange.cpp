// SPDX-License-Identifier: MIT
#include "exchange.h"

#include <algorithm>

#include "progress.h"
#include "support.h"

std::size_t Exchange::run(std::size_t messages) {
  left_to_send_ = (messages + receivers() - 1) / receivers();
  std::size_t all = left_to_receive_ = left_to_send_ * receivers();
  Progress progress(options_.mode, options_.timeout_s, options_.limit_s);
  for (Connection& connection : connections_) {
    send(connection, options_.outstanding);
    if (is_fanout_) break;
  }
  while (left_to_receive_ > 0) {
    if (progress.is_over()) {
      all -= left_to_send_ * receivers();
      left_to_receive_ -= left_to_send_ * receivers();
      left_to_send_ = 0;
    }
    loop_.wait(kSecondNs, [this](Connection& connection, std::uint32_t events) {
      if ((events & EPOLLOUT) != 0) connection.flush();
      if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(connection);
    });
    progress.tell(all - left_to_receive_, all);
  }
  return all;
}

void Exchange::send(Connection& connection, std::size_t count) {
  count = std::min(count, left_to_send_);
  if (count == 0) return;
  left_to_send_ -= count;
  connection.send_frames(count);
}

void Exchange::receive(Connection& connection) {
  const std::size_t frames = connection.receive();
  if (frames > left_to_receive_) die("more came back than was sent");
  left_to_receive_ -= frames;
  if (is_fanout_) return send_next_fanout();
  send(connection, frames);
}

// A further message when, taken together, all have received the oldest of those that are under way.
void Exchange::send_next_fanout() {
  const std::size_t under_way = left_to_receive_ - (left_to_send_ * receivers());
  const std::size_t messages = (under_way + receivers() - 1) / receivers();
  if (messages < options_.outstanding) send(connections_[0], options_.outstanding - messages);
}
