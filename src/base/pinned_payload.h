// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

namespace websockets {

// Keeps the bytes of payloads in memory until they were sent.
class PayloadOwner {
 public:
  // The payload of this handle is not needed any more. Must not call the engine.
  virtual void release_payload(int handle) = 0;

 protected:
  ~PayloadOwner() = default;
};

// The right to a payload that is sent from where it is.
class PinnedPayload {
 public:
  PinnedPayload() = default;
  PinnedPayload(PayloadOwner& keeper, int handle) : keeper_(&keeper), handle_(handle) {}
  ~PinnedPayload() { reset(); }
  PinnedPayload(PinnedPayload&& other) noexcept
      : keeper_(std::exchange(other.keeper_, nullptr)), handle_(other.handle_) {}
  PinnedPayload& operator=(PinnedPayload&& other) noexcept {
    reset();
    keeper_ = std::exchange(other.keeper_, nullptr);
    handle_ = other.handle_;
    return *this;
  }

  explicit operator bool() const { return keeper_ != nullptr; }
  void reset() {
    if (keeper_ != nullptr) std::exchange(keeper_, nullptr)->release_payload(handle_);
  }

 private:
  PayloadOwner* keeper_ = nullptr;
  int handle_ = 0;
};

}  // namespace websockets
