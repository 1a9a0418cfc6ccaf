// SPDX-License-Identifier: MIT
#include "cluster/redis_failure.h"

#include <algorithm>
#include <array>
#include <new>

#include "base/http_text.h"

namespace websockets {
namespace {

using Remedy = RedisFailure::Remedy;

constexpr std::size_t kMostText = 300;

// An error begins with its code.
std::string_view code_of(std::string_view error) { return error.substr(0, error.find(' ')); }

template <std::size_t N>
bool is_one_of(std::string_view code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// Redis 6 and before quote what a script's command was told: "… -CODE …".
bool is_quoted(std::string_view code, std::string_view error) {
  const std::size_t at = error.find(code);
  return at != std::string_view::npos && at > 0 && error[at - 1] == '-' &&
         error.substr(at + code.size()).starts_with(' ');
}

// Those of a Redis Cluster, whose masters each have a part of the keys, are among them.
constexpr std::array<std::string_view, 8> kNeedHelp = {"NOAUTH", "WRONGPASS", "NOPERM",    "DENIED",
                                                       "MOVED",  "ASK",       "CROSSSLOT", "CLUSTERDOWN"};
constexpr std::array<std::string_view, 3> kPass = {"READONLY", "MASTERDOWN", "UNBLOCKED"};
// No memory, no disk, a script that runs for too long, no replicas.
constexpr std::array<std::string_view, 4> kTakesNothing = {"OOM", "MISCONF", "BUSY", "NOREPLICAS"};

}  // namespace

RedisFailure redis_failure(Remedy remedy, std::initializer_list<std::string_view> why) noexcept {
  RedisFailure failure;
  failure.remedy = remedy;
  try {
    for (const std::string_view part : why) failure.why.append(part);
  } catch (const std::bad_alloc&) {
    failure.why.clear();
    failure.why.append("memory is short");  // takes none: so few bytes lie in the string itself
  }
  return failure;
}

RedisFailure redis_failure(const Failure& failure) noexcept {
  return redis_failure(failure.is_final ? Remedy::kHelp : Remedy::kRetry, {failure.message});
}

std::optional<Remedy> remedy_for(std::string_view error) {
  const std::string_view code = code_of(error);
  if (is_one_of(code, kNeedHelp)) return Remedy::kHelp;
  if (code == "LOADING") return Remedy::kRetrySoon;
  if (is_one_of(code, kPass)) return Remedy::kRetry;
  if (is_quoted("READONLY", error)) return Remedy::kRetry;
  return {};
}

bool takes_nothing_now(std::string_view error) {
  if (remedy_for(error) || is_one_of(code_of(error), kTakesNothing)) return true;
  return std::any_of(kTakesNothing.begin(), kTakesNothing.end(),
                     [=](std::string_view code) { return is_quoted(code, error); });
}

RedisFailure::Remedy remedy_for_greeting(std::string_view error) {
  if (const auto remedy = remedy_for(error)) return *remedy;
  // A code of its own is of the server's state; what has none is of the command.
  const bool is_of_command = code_of(error) == "ERR" && error.find("max number of clients") == std::string_view::npos;
  return is_of_command ? Remedy::kHelp : Remedy::kRetry;
}

std::string printable_redis_error(std::string_view error, std::string_view password) {
  // A server that does not know a command quotes its arguments.
  std::string text(error.substr(0, error.find(", with args")));
  for (std::size_t at = 0; !password.empty() && (at = text.find(password, at)) != std::string::npos; at += 3) {
    text.replace(at, password.size(), "***");
  }
  if (text.size() > kMostText) text.resize(kMostText);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return http_text::is_control(c); }, '?');
  return text;
}

std::optional<RedisFailure> check_role(const RedisReply& reply, std::string_view place) noexcept {
  const std::string_view role = reply.elements.empty() ? std::string_view() : reply.elements[0].text;
  if (role == "master") return {};
  if (role == "slave") return redis_failure(Remedy::kRetry, {place, ": it is a replica, and no master"});
  if (role == "sentinel") {
    return redis_failure(Remedy::kHelp, {place, ": it is a sentinel: its URL begins with redis+sentinel://"});
  }
  return redis_failure(Remedy::kHelp, {place, ": it does not say that it is a master"});
}

}  // namespace websockets
