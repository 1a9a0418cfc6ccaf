// SPDX-License-Identifier: MIT
#include "cluster/redis_url.h"

#include <gtest/gtest.h>

using namespace websockets;

namespace {

RedisUrl parsed(std::string_view text) {
  Result<RedisUrl> url = parse_redis_url(text);
  EXPECT_TRUE(static_cast<bool>(url)) << url.error().text;
  return url ? *url : RedisUrl();
}

TEST(RedisUrl, NamesAServerAUserAndADatabase) {
  const RedisUrl url = parsed("redis://bob:s%40c:r%2Fet@Redis.example:6380/3");
  ASSERT_EQ(url.servers.size(), 1U);
  EXPECT_EQ(url.servers[0].host, "redis.example");
  EXPECT_EQ(url.servers[0].port, 6380);
  EXPECT_EQ(url.username, "bob");
  EXPECT_EQ(url.password, "s@c:r/et");
  EXPECT_EQ(url.database, 3U);
  EXPECT_FALSE(url.is_tls);
  EXPECT_EQ(url.text(), "redis://redis.example:6380/3");
}

TEST(RedisUrl, HasDefaults) {
  const RedisUrl url = parsed("rediss://[::1]");
  ASSERT_EQ(url.servers.size(), 1U);
  EXPECT_EQ(url.servers[0].host, "::1");
  EXPECT_EQ(url.servers[0].port, 6379);
  EXPECT_TRUE(url.is_tls);
  EXPECT_TRUE(url.username.empty() && url.password.empty());
  EXPECT_EQ(url.text(), "rediss://[::1]:6379/0");
}

TEST(RedisUrl, PartsUserAndPasswordBeforeTheyAreDecoded) {
  const RedisUrl url = parsed("redis://a%3Ab:c@host");
  EXPECT_EQ(url.username, "a:b");
  EXPECT_EQ(url.password, "c");
  EXPECT_EQ(parsed("redis://:only@host").password, "only");
}

TEST(RedisUrl, NamesAUnixSocket) {
  const RedisUrl url = parsed("redis+unix:/run/re%3Fdis.sock?db=2");
  EXPECT_EQ(url.unix_path, "/run/re?dis.sock");
  EXPECT_EQ(url.database, 2U);
  EXPECT_TRUE(url.servers.empty());
  const RedisUrl with_user = parsed("redis+unix://bob:pw@/run/redis.sock");
  EXPECT_EQ(with_user.unix_path, "/run/redis.sock");
  EXPECT_EQ(with_user.password, "pw");
  EXPECT_EQ(with_user.text(), "redis+unix:/run/redis.sock");
}

TEST(RedisUrl, NamesSentinels) {
  const RedisUrl url = parsed("redis+sentinel://:pw@one,two:7000/main/4");
  ASSERT_EQ(url.servers.size(), 2U);
  EXPECT_EQ(url.servers[0].port, 26379);
  EXPECT_EQ(url.servers[1].host, "two");
  EXPECT_EQ(url.servers[1].port, 7000);
  EXPECT_EQ(url.master_name, "main");
  EXPECT_EQ(url.database, 4U);
  EXPECT_EQ(url.text(), "redis+sentinel://one:26379,two:7000/main/4");
}

TEST(RedisUrl, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "redis",
                           "http://host",
                           "redis://",
                           "redis://host/x",
                           "redis://host/-1",
                           "redis://host/4294967296",
                           "redis://host:0x",
                           "redis://host:99999",
                           "redis://one,two",
                           "redis://user@host",
                           "redis://user:@host",
                           "redis://a b",
                           "redis://host/0#x",
                           "redis+unix:",
                           "redis+unix:path",
                           "redis+unix://host/path",
                           "redis+unix:/a%00b",
                           "redis+unix:/a?x=1",
                           "redis+unix:/a?db=",
                           "redis+sentinel://one",
                           "redis+sentinel://one/",
                           "redis+sentinel://one,/name",
                           "redis+sentinel://,one/name",
                           "redis://a:b@c@host"}) {
    EXPECT_FALSE(static_cast<bool>(parse_redis_url(text))) << text;
  }
}

TEST(RedisUrl, ShowsNoPassword) {
  for (const char* text :
       {"redis://bob:secret@host/x", "redis://bob:sec/secret@host", "bob:secret@host", "redis:bob:secret@host",
        "redis+unix://bob:secret@x/y", "redis://bob:secret@", "redis+sentinel://bob:secret@one",
        "redis://bob://secret@host/x", "redis://bob:secret @host"}) {
    const Result<RedisUrl> url = parse_redis_url(text);
    ASSERT_FALSE(static_cast<bool>(url)) << text;
    EXPECT_EQ(url.error().text.find("secret"), std::string::npos) << url.error().text;
    EXPECT_EQ(url.error().text.find("bob"), std::string::npos) << url.error().text;
  }
}

}  // namespace
