// SPDX-License-Identifier: MIT
#pragma once

namespace websockets {

// What code on the stack may still need when it has ended: see Loop::dispose().
class Disposable {
 public:
  virtual ~Disposable() = default;

  Disposable* next_disposed = nullptr;  // for the loop
};

}  // namespace websockets
