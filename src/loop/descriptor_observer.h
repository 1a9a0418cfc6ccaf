// SPDX-License-Identifier: MIT
#pragma once

namespace websockets {

// Told which descriptors an outer loop shall watch for reading. The calls may do anything, as those of its other
// events.
class DescriptorObserver {
 public:
  virtual void on_add_fd(int fd) = 0;
  virtual void on_del_fd(int fd) = 0;

 protected:
  ~DescriptorObserver() = default;
};

}  // namespace websockets
