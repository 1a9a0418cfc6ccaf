// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include "net/socket_address.h"

namespace websockets {

// The file that a unix socket was bound to. Removed with this, unless somebody else has put another one in its place,
// or another process has it.
class SocketFile {
 public:
  SocketFile() = default;  // none
  // Just bound to.
  explicit SocketFile(const SocketAddress& address);
  ~SocketFile() { remove(); }
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;

  void remove();
  // Another process has it now; or this one, again.
  void leave() { is_ours_ = false; }
  void own() { is_ours_ = true; }
  bool exists() const { return inode_ != 0; }

 private:
  SocketAddress address_;
  ino_t inode_ = 0;  // 0: there is none
  bool is_ours_ = true;
};

}  // namespace websockets
