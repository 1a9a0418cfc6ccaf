// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "loop/loop_stats.h"
#include "server/admission.h"
#include "websocket/session_rules.h"

namespace websockets {

// Why a client did not get what it came for. To count a further reason, add a line here, with its name in stats() and
// metrics(), and call ServerRules::refuse() where it is found; name it in the manual, too.
#define WEBSOCKETS_REFUSALS(X)                                            \
  X(kBadRequest, "bad_request")         /* HTTP that is malformed */      \
  X(kTooLarge, "too_large")             /* its head or body */            \
  X(kTimeout, "timeout")                /* a request that does not end */ \
  X(kTls, "tls")                        /* the TLS handshake failed */    \
  X(kPlainText, "plain_text")           /* HTTP where TLS is spoken */    \
  X(kHandshake, "handshake")            /* of a websocket: malformed */   \
  X(kVersion, "version")                /* of the protocol */             \
  X(kSubprotocol, "subprotocol")        /* none that is served */         \
  X(kOrigin, "origin")                  /* of a page of another one */    \
  X(kUpgrade, "upgrade")                /* by on_upgrade */               \
  X(kConnections, "connections")        /* there are too many */          \
  X(kAddress, "connections_of_address") /* the same, of one address */    \
  X(kMemory, "memory")                  /* more than may wait in it */    \
  X(kDescriptors, "descriptors")        /* the process has none left */   \
  X(kShutdown, "shutdown")              /* the server ends */

enum class RefusalReason : std::uint8_t {
#define WEBSOCKETS_ENUMERATOR(name, text) name,
  WEBSOCKETS_REFUSALS(WEBSOCKETS_ENUMERATOR)
#undef WEBSOCKETS_ENUMERATOR
};

constexpr std::array kRefusalNames = {
#define WEBSOCKETS_NAME(name, text) std::string_view(text),
    WEBSOCKETS_REFUSALS(WEBSOCKETS_NAME)
#undef WEBSOCKETS_NAME
};

constexpr RefusalReason reason_of(AdmissionVerdict verdict) {
  return verdict == AdmissionVerdict::kTooManyOfAddress ? RefusalReason::kAddress : RefusalReason::kConnections;
}

// The counters of a context since it was made: plain additions, where it touches its own memory anyway.
struct Stats : SessionStats {
  std::uint64_t connections = 0;
  std::uint64_t http_requests = 0;
  std::array<std::uint64_t, kRefusalNames.size()> refused{};

  void refuse(RefusalReason reason) { ++refused[static_cast<std::size_t>(reason)]; }
};

// The same at one time, with what is there now.
struct StatsReport {
  struct OfSubprotocol {
    std::string_view name;
    std::size_t open;
    std::uint64_t opened;
  };

  Stats counted;
  LoopStats moved;
  std::size_t connections = 0;
  std::size_t queued_bytes = 0;
  std::size_t topics = 0;
  std::size_t subscriptions = 0;
  std::vector<OfSubprotocol> protocols;
};

// In the text exposition format 0.0.4 of Prometheus. `workers`: what each of the processes has of it, if there are
// several, in the order of their numbers, which begin with 1.
std::string metrics_text(const StatsReport& report, std::span<const StatsReport> workers = {});

}  // namespace websockets
