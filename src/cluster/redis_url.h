// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace websockets {

// Where a Redis server is, or those who know where it is.
struct RedisUrl {
  struct Server {
    std::string host;  // as in WebsocketUrl
    std::uint16_t port = 0;
  };

  bool is_tls = false;
  std::vector<Server> servers;  // one; sentinels: one or more; none with unix_path
  std::string unix_path;        // of redis+unix
  std::string master_name;      // of redis+sentinel: the servers are sentinels
  std::string username;         // empty: the default one's password is enough
  std::string password;         // empty: does not authenticate
  std::uint32_t database = 0;

  bool is_sentinel() const { return !master_name.empty(); }
  // For messages: the URL, without username and password.
  std::string text() const;
};

// "redis://user:password@host:6379/0", "rediss://", "redis+unix:/path?db=0", "redis+unix://user:password@/path",
// "redis+sentinel://host1,host2:26379/name/0". What has a meaning in an URL is encoded in user, password, path and
// name. The error's text names the URL, without user and password. Throws std::bad_alloc.
Result<RedisUrl> parse_redis_url(std::string_view text);

}  // namespace websockets
