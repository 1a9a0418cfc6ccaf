// SPDX-License-Identifier: MIT
#include "cluster/redis_link.h"

namespace websockets {

RedisLink::RedisLink(const DialServices&, const RedisLinkOptions&, RedisLinkOwner&) {}
RedisLink::~RedisLink() = default;
void RedisLink::start() {}
void RedisLink::finish() {}
void RedisLink::abandon() {}
bool RedisLink::is_up() const { return stats_.is_up; }
std::string_view RedisLink::replication_id() const { return {}; }
void RedisLink::subscribe(std::string_view) {}
void RedisLink::unsubscribe(std::string_view) {}
bool RedisLink::send(std::span<const std::string_view>, OnReply) { return false; }
RedisLink::Stats RedisLink::stats() const { return stats_; }

}  // namespace websockets
