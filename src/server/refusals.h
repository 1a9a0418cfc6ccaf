// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/stats.h"

namespace websockets {

class PeerAddress;
class Request;

// A client that is refused, as far as it is known.
struct RefusedClient {
  const PeerAddress* peer = nullptr;
  const Request* request = nullptr;  // null: it has not arrived
  int status = 0;                    // of the answer; 0: there is none
  std::string_view message = {};     // of the answer
};

// How it is told so.
struct RefusalAnswer {
  RefusalReason reason;
  int status;
  std::string_view text;  // a line
  std::vector<std::pair<std::string_view, std::string_view>> headers = {};
};

// A client that was refused, as the owner is told.
struct Refusal {
  RefusalReason reason;
  int status;
  std::string message;
  std::string address;
  std::string uri;
  std::string origin;
};

// The refusals that are to be told: a flood of them takes no memory to speak of, so some are left out.
class Refusals {
 public:
  static constexpr std::size_t kMostRefusals = 256;
  static constexpr std::size_t kMostBytes = 1024;  // of each text

  bool empty() const { return refusals_.empty(); }
  void add(RefusalReason reason, const RefusedClient& client) noexcept;
  std::vector<Refusal> take() { return std::exchange(refusals_, {}); }

 private:
  std::vector<Refusal> refusals_;
};

}  // namespace websockets
