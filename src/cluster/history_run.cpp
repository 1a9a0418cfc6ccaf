// SPDX-License-Identifier: MIT
#include "cluster/history_run.h"

#include <algorithm>

namespace websockets {
namespace {

constexpr std::size_t kBytesOfEach = 128;  // beside its data

std::size_t bytes_of(const HistoryRun::Message& message) { return message.get().data.size() + kBytesOfEach; }

}  // namespace

HistoryRun::Message::Message(const HistoryMessage& message) : data_(message.data), message_(message) {
  message_.data = data_;
}

void HistoryRun::restart(std::uint64_t offset) {
  messages_.clear();
  bytes_ = 0;
  begin_ = end_ = offset;
}

void HistoryRun::append(const HistoryMessage& message) {
  messages_.push_back(std::make_shared<const Message>(message));
  bytes_ += bytes_of(*messages_.back());
  end_ = message.offset;
}

void HistoryRun::drop_through(std::uint64_t offset) {
  while (!messages_.empty() && messages_.front()->get().offset <= offset) {
    bytes_ -= bytes_of(*messages_.front());
    messages_.pop_front();
  }
  begin_ = std::max(begin_, std::min(offset, end_));
}

void HistoryRun::shrink(std::size_t max_bytes) {
  while (bytes_ > max_bytes && messages_.size() > 1) drop_through(messages_.front()->get().offset);
}

std::shared_ptr<const HistoryRun::Message> HistoryRun::next(std::uint64_t offset) const {
  const auto found = std::upper_bound(
      messages_.begin(), messages_.end(), offset,
      [](std::uint64_t value, const std::shared_ptr<const Message>& one) { return value < one->get().offset; });
  return found == messages_.end() ? nullptr : *found;
}

}  // namespace websockets
