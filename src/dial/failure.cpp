// SPDX-License-Identifier: MIT
#include "dial/failure.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace websockets {
namespace {

constexpr std::array<std::string_view, 12> kKinds = {
    "", "dns", "refused", "unreachable", "timeout", "tls", "proxy", "http", "handshake", "lost", "closed", "cancelled"};
constexpr std::array<std::string_view, 7> kPhases = {"", "name", "tcp", "proxy", "tls", "http", "open"};

FailureKind kind_of(int code) {
  switch (code) {
    case ECONNREFUSED:
    case ENOENT:  // of a unix socket
      return FailureKind::kRefused;
    case ETIMEDOUT:
      return FailureKind::kTimeout;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      return FailureKind::kLost;
    default:
      return FailureKind::kUnreachable;
  }
}

}  // namespace

std::string_view name_of(FailureKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::string_view name_of(FailurePhase phase) { return kPhases[static_cast<std::size_t>(phase)]; }

Failure socket_failure(FailurePhase phase, const std::string& what, int code) {
  Failure failure;
  failure.kind = kind_of(code);
  failure.phase = phase;
  failure.message = what + ": " + std::strerror(code);
  failure.code = code;
  return failure;
}

Failure failure_without_memory(FailurePhase phase) {
  Failure failure;
  failure.kind = FailureKind::kLost;
  failure.phase = phase;
  failure.message = "out of memory";  // so short that it is kept within the string
  failure.code = ENOMEM;
  return failure;
}

}  // namespace websockets
