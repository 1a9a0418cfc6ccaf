// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace websockets {

class Connection;

// What becomes of a request for a websocket.
struct UpgradeAnswer {
  int status = 101;          // 101: it becomes one; else a status of 200 and above
  std::string header_lines;  // further ones, each with its CR LF; checked by whoever fills it in
  bool has_content_type = false;
  std::optional<std::string> body;  // of a refusal; none: one that says what the status means
};

// A request for a websocket that somebody decides about, now or later. Shared with the connection's exchange: it stays
// good when the client has left.
class PendingUpgrade {
 public:
  explicit PendingUpgrade(Connection& connection) : connection_(&connection) {}

  enum class Status : std::uint8_t { kWaiting, kAnswered, kClosed };
  // kClosed: the client has left, or was told to.
  Status status() const;
  // Whether it was answered within on_upgrade, which has not returned yet.
  bool has_answer() const { return answer_.has_value(); }
  // Within on_upgrade it takes effect when that has returned, else at once: on_open may be called. Returns the status
  // before: nothing is done when it is not kWaiting. Throws std::bad_alloc, after which the connection is lost.
  Status answer(UpgradeAnswer&& answer);
  // Nobody will answer: the client gets 503 with the next turn of the loop. Calls nobody.
  void abandon() noexcept;
  // While it waits.
  Connection& connection() { return *connection_; }

 private:
  friend class HttpExchange;

  Connection* connection_;
  Status status_ = Status::kWaiting;
  bool is_abandoned_ = false;
  bool is_in_handler_ = true;
  std::optional<UpgradeAnswer> answer_;  // given within on_upgrade
};

}  // namespace websockets
