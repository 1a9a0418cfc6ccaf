// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace websockets {

// What becomes of a request for a websocket.
struct UpgradeAnswer {
  int status = 101;          // 101: it becomes one; else a status of 200 and above
  std::string header_lines;  // further ones, each with its CR LF; checked by whoever fills it in
  bool has_content_type = false;
  std::optional<std::string> body;  // of a refusal; none: one that says what the status means
};

// A request for a websocket that somebody decides about, now or later. Shared with whoever acts upon the decision: it
// stays good when the client has left.
class PendingUpgrade {
 public:
  // Acts upon the decision; until end().
  class Owner {
   public:
    // May call the handler. Throws std::bad_alloc, after which the connection is lost.
    virtual void on_answer(const UpgradeAnswer& answer) = 0;
    // is_abandoned() has become true. Calls nobody.
    virtual void on_abandoned() noexcept = 0;

   protected:
    ~Owner() = default;
  };

  explicit PendingUpgrade(Owner& owner) : owner_(owner) {}

  enum class Status : std::uint8_t { kWaiting, kAnswered, kClosed };
  // kClosed: the client has left, or was told to.
  Status status() const { return status_; }
  // Whether it was answered within on_upgrade, which has not returned yet.
  bool has_answer() const { return answer_.has_value(); }
  // Within on_upgrade it takes effect when that has returned, else at once: on_open may be called. Returns the status
  // before: nothing is done when it is not kWaiting. Throws std::bad_alloc, after which the connection is lost.
  Status answer(UpgradeAnswer&& answer);
  // Nobody will answer: the client gets 503 in the next round of the loop. Calls nobody.
  void abandon() noexcept;

  // --- For the owner ---

  bool is_abandoned() const { return is_abandoned_; }
  // on_upgrade has returned. The answer that was given within it, if one was.
  std::optional<UpgradeAnswer> end_call();
  // There is nothing more to decide. Only the first time counts.
  void end(Status status) {
    if (status_ == Status::kWaiting) status_ = status;
  }

 private:
  Owner& owner_;
  Status status_ = Status::kWaiting;
  bool is_abandoned_ = false;
  bool is_in_call_ = true;               // of on_upgrade
  std::optional<UpgradeAnswer> answer_;  // given within it
};

}  // namespace websockets
