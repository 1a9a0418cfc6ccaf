// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/redis_reply.h"
#include "dial/failure.h"

namespace websockets {

// Why there is no connection to a Redis server, and what can be done about it.
struct RedisFailure {
  enum class Remedy : std::uint8_t {
    kRetry,
    kRetrySoon,  // it will be over by itself: the server loads its data
    kHelp,       // an operator has to do something: password, rights, database, certificate
  };

  std::string why;  // holds no password
  Remedy remedy = Remedy::kRetry;
};

// The parts of `why` in a row; where memory is short it says that. Throws nothing.
RedisFailure redis_failure(RedisFailure::Remedy remedy, std::initializer_list<std::string_view> why) noexcept;
RedisFailure redis_failure(const Failure& failure) noexcept;

// What an error means to the connection that it comes by; nothing: it concerns its command only.
std::optional<RedisFailure::Remedy> remedy_for(std::string_view error);
// The same of a command that every connection has to begin with.
RedisFailure::Remedy remedy_for_greeting(std::string_view error);
// Whether the server would refuse whatever else is to be written now, too: because the link to it is of no use, or for
// a while. Nothing was done.
bool takes_nothing_now(std::string_view error);
// For messages: of a server's words those that can be printed, no argument of a command, and no `password`. Throws
// std::bad_alloc.
std::string printable_redis_error(std::string_view error, std::string_view password);

// Whether the reply to ROLE is a master's; else why the server is of no use.
std::optional<RedisFailure> check_role(const RedisReply& reply, std::string_view place) noexcept;

}  // namespace websockets
