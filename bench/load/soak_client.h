// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "connection.h"
#include "traffic.h"

enum class Ending {
  kClose,             // the closing handshake
  kCloseByServer,     // the same, begun by the server, which is asked to
  kViolation,         // the server closes, as it is sent what may not be
  kCloseAndLeave,     // a Close frame, without waiting for the answer
  kLeaveInFrame,      // in the middle of a frame
  kReset,             // when all has come back
  kResetInTraffic,    // when something is under way in both directions
  kLeaveInTraffic,    // the same, in an orderly way
  kRefused,           // the handshake is refused
  kLeaveInHandshake,  // in the middle of the request
  kLeaveBehindRequest,
  kLeaveAtOnce,
};

// How a connection lives, and ends.
struct Life {
  std::string_view protocol;
  std::string_view path;
  Ending ending;
  std::string_view refusal;  // kRefused: the reason, as the server counts it
  std::string_view status;   // the same: of the answer
};

// What is counted, by names that those of the server resemble: "echo.sent", "closed.1000", "refused.version"…
using Counts = std::map<std::string, std::uint64_t>;

// A connection of a soak: it opens, exchanges, ends in one of many ways, and begins anew.
class SoakClient : public Connection {
 public:
  // Begins a life, which takes some repetitions of the traffic. The request has to stay. False: it is over already.
  bool begin(const Loop& loop, const Target& target, const Life& life, std::string_view request, const Traffic& traffic,
             std::size_t repetitions, unsigned close_code, Counts& counts);

  // To be called on each event until it returns false: the life is over. Ends the program when the server does not do
  // what it should.
  bool serve(std::uint32_t events);

 private:
  enum class Phase { kOpening, kExchanging, kAwaitsAnswer, kAwaitsCode, kAwaitsEnd };

  bool go_on();
  bool has_opened();
  bool check_refusal();
  bool exchange(std::uint32_t events);
  bool end();
  bool answer_close();
  bool leave(std::string_view name);
  void send(std::size_t repetitions);
  std::uint64_t& count(std::string_view name);
  void count_closed(unsigned code);

  const Life* life_ = nullptr;
  const Traffic* traffic_ = nullptr;
  Counts* counts_ = nullptr;
  Phase phase_ = Phase::kOpening;
  unsigned close_code_ = 0;
  std::size_t left_to_send_ = 0;
  std::size_t left_to_receive_ = 0;
};
