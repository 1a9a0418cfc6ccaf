// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "server/connection.h"

namespace websockets {

// A subprotocol and its open connections.
struct Subprotocol : ConnectionList {
  std::string name;
  std::size_t open = 0;      // without those that are closed but there still
  std::uint64_t opened = 0;  // ever
};

}  // namespace websockets
