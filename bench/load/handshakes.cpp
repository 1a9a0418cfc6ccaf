// SPDX-License-Identifier: MIT
#include "handshakes.h"

#include "progress.h"
#include "support.h"

std::size_t connect_and_close(const Options& options, const Loop& loop, const Target& target, const Frames& frames,
                              std::vector<Connection>& connections, std::size_t count) {
  std::size_t begun = 0;
  std::size_t done = 0;
  Progress progress(options.mode, options.timeout_s, options.limit_s);
  const auto open_next = [&](Connection& connection) {
    if (begun == count) return;
    ++begun;
    connection.open(loop, target, frames);
    if (connection.state() == Connection::State::kLost) die(connection.reason());
  };
  for (Connection& connection : connections) open_next(connection);
  while (done < count) {
    if (progress.is_over()) count = begun;
    loop.wait(kSecondNs, [&](Connection& connection, std::uint32_t) {
      if (connection.state() == Connection::State::kOpen) {
        if (!connection.receive_close()) return;
        ++done;
        open_next(connection);
        return;
      }
      if (connection.go_on_opening() == Connection::State::kOpen) connection.send_close();
      if (connection.state() == Connection::State::kLost) die(connection.reason());
    });
    progress.tell(done, count);
  }
  return count;
}

std::size_t Storm::run() {
  const std::int64_t begin_ns = now_ns();
  const std::int64_t end_ns = begin_ns + (static_cast<std::int64_t>(options_.timeout_s) * kSecondNs);
  Progress progress(options_.mode, options_.timeout_s + 1);
  for (Connection& connection : connections_) {
    connection.open(loop_, target_, frames_);
    if (connection.state() == Connection::State::kLost) ++failed_;
  }
  while (opened_ + failed_ < connections_.size() && now_ns() < end_ns) {
    loop_.wait(kSecondNs / 10, [&](Connection& connection, std::uint32_t) {
      // One that is open has nothing to receive: it was closed.
      if (connection.state() == Connection::State::kOpen) --opened_;
      const Connection::State state = connection.go_on_opening();
      if (state == Connection::State::kLost) ++failed_;
      if (state != Connection::State::kOpen) return;
      ++opened_;
      opened_after_ns_.add(static_cast<std::uint64_t>(now_ns() - begin_ns));
    });
    progress.tell(opened_, connections_.size());
  }
  return opened_;
}

void Storm::describe(JsonObject& result) const {
  const auto seconds = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e9; };
  result.add("failed", static_cast<double>(connections_.size() - opened_))
      .add("median_s", seconds(opened_after_ns_.percentile(0.5)))
      .add("last_s", seconds(opened_after_ns_.max()));
}
