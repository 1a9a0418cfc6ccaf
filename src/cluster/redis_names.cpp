// SPDX-License-Identifier: MIT
#include "cluster/redis_names.h"

namespace websockets {

RedisNames::RedisNames(std::string_view prefix, std::uint32_t database)
    : begin_(std::string(prefix) + std::to_string(database) + ':') {}

std::string RedisNames::name(Kind kind, std::string_view of) const {
  std::string result;
  result.reserve(begin_.size() + 2 + of.size());
  return result.append(begin_).append(1, kind).append(1, ':').append(of);
}

std::optional<RedisNames::Parsed> RedisNames::parse(std::string_view name) const {
  if (!name.starts_with(begin_)) return std::nullopt;
  name.remove_prefix(begin_.size());
  if (name.size() < 2 || name[1] != ':') return std::nullopt;
  return Parsed{name[0], name.substr(2)};
}

}  // namespace websockets
