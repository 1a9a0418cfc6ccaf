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
  PinnedPayload(PayloadOwner& owner, int handle) : owner_(&owner), handle_(handle) {}
  ~PinnedPayload() { reset(); }
  PinnedPayload(PinnedPayload&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), handle_(other.handle_) {}
  PinnedPayload& operator=(PinnedPayload&& other) noexcept {
    reset();
    owner_ = std::exchange(other.owner_, nullptr);
    handle_ = other.handle_;
    return *this;
  }

  explicit operator bool() const { return owner_ != nullptr; }
  void reset() {
    if (owner_ != nullptr) std::exchange(owner_, nullptr)->release_payload(handle_);
  }

 private:
  PayloadOwner* owner_ = nullptr;
  int handle_ = 0;
};

}  // namespace websockets
