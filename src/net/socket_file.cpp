// SPDX-License-Identifier: MIT
#include "net/socket_file.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

namespace websockets {
namespace {

const char* path_of(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
}

ino_t inode_of(const SocketAddress& address) {
  struct stat info {};
  return ::stat(path_of(address), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

SocketFile::SocketFile(const SocketAddress& address) : address_(address), inode_(inode_of(address)) {}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : address_(other.address_), inode_(std::exchange(other.inode_, ino_t{0})), is_ours_(other.is_ours_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(inode_, other.inode_);
  std::swap(is_ours_, other.is_ours_);
  return *this;
}

void SocketFile::remove() {
  const ino_t inode = std::exchange(inode_, ino_t{0});
  if (is_ours_ && inode != 0 && inode_of(address_) == inode) ::unlink(path_of(address_));
}

}  // namespace websockets
