// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/socket_address.h"

namespace websockets {

// A non-blocking, close-on-exec socket of this family; with errno set: none.
UniqueFd open_stream_socket(int family);
// The same for one that was made in another way.
void make_non_blocking(int fd);
// Two such sockets that are connected to each other, for two processes; Error: `what` says what there is none of.
Result<std::array<UniqueFd, 2>> make_socket_pair(const std::string& what);
// What cannot be set stays as it is.
void set_socket_option(int fd, int level, int option, int value);

enum class ConnectStatus : std::uint8_t {
  kConnected,
  kPending,  // until it is writable: see finish_connecting()
  kBusy,     // a unix socket whose server has more clients than it takes: once more later
  kFailed,   // `error` is its errno
};

struct Connecting {
  ConnectStatus status;
  UniqueFd fd;
  int error = 0;
};

// Begins to connect. `source`: the address of this machine to come from, or null. Never blocks.
Connecting begin_connecting(const SocketAddress& address, const SocketAddress* source);
// What has become of one that is pending; `error` is set when it has failed.
ConnectStatus finish_connecting(int fd, int& error);

}  // namespace websockets
