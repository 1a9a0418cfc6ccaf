// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/receiver.h"

namespace websockets {

// A subprotocol (RFC 6455 1.9) and its websockets, in the order in which they opened.
struct Subprotocol {
  std::string name;
  ReceiverList receivers;    // until they are freed
  std::size_t open = 0;      // without those that are closed but there still
  std::uint64_t opened = 0;  // ever
};

// nullptr: there is none of that name.
inline const Subprotocol* find_subprotocol(std::span<const Subprotocol> subprotocols, std::string_view name) {
  for (const Subprotocol& subprotocol : subprotocols) {
    if (subprotocol.name == name) return &subprotocol;
  }
  return nullptr;
}

}  // namespace websockets
