// SPDX-License-Identifier: MIT
#include "server/pending_upgrade.h"

namespace websockets {

PendingUpgrade::Status PendingUpgrade::answer(UpgradeAnswer&& answer) {
  if (status_ != Status::kWaiting) return status_;
  if (answer_) return Status::kAnswered;
  if (is_in_call_) {
    answer_ = std::move(answer);
  } else {
    owner_.on_answer(answer);
  }
  return Status::kWaiting;
}

void PendingUpgrade::abandon() noexcept {
  if (status_ != Status::kWaiting) return;
  is_abandoned_ = true;
  owner_.on_abandoned();
}

std::optional<UpgradeAnswer> PendingUpgrade::end_call() {
  is_in_call_ = false;
  return std::exchange(answer_, std::nullopt);
}

}  // namespace websockets
