// SPDX-License-Identifier: MIT
#include "cluster/redis_link.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "redis_link_fixture.h"

namespace websockets {
namespace {

using namespace std::string_literals;
using Command = FakeRedis::Command;

class RedisLinkTest : public RedisLinkFixture {
 protected:
  static std::string url_of(const RedisServer& server, const std::string& userinfo = {}, int database = 0) {
    return "redis://" + userinfo + server.place() + "/" + std::to_string(database);
  }
};

// --- With a real server ---

TEST_F(RedisLinkTest, IsUpAndCarriesCommandsAndMessages) {
  RedisServer server;
  start(url_of(server));
  EXPECT_FALSE(link().is_up());
  EXPECT_FALSE(tell({"PING"}));
  link().subscribe("a");
  pump_until_up();
  EXPECT_EQ(log, (Log{"up"}));
  EXPECT_EQ(link().replication_id().size(), 40U);
  EXPECT_EQ(loop().channel_count(), 0U);
  EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 1);
  pump_until_told("message a:x");
  link().subscribe("b");
  EXPECT_FALSE(link().is_subscribed("b"));
  pump_until_told("subscribed b");
  EXPECT_EQ(ask({"PUBLISH", "b", "y"}).integer, 1);
  pump_until_told("message b:y");
  link().unsubscribe("a");
  pump_until([&] { return ask({"PUBLISH", "a", "z"}).integer == 0; });
  EXPECT_EQ(take_log(), (Log{"up", "message a:x", "subscribed b", "message b:y"}));
  const RedisLink::Stats stats = link().stats();
  EXPECT_TRUE(stats.is_up);
  EXPECT_EQ(stats.received, 2U);
  EXPECT_GE(stats.sent, 3U);
  EXPECT_EQ(stats.dropped, 1U);
  EXPECT_EQ(stats.reconnects, 0U);
  EXPECT_EQ(stats.queued_bytes, 0U);
  EXPECT_GT(stats.probe_ms, 0);
}

TEST_F(RedisLinkTest, ChannelsAndPayloadsMayHaveAnyBytes) {
  RedisServer server;
  start(url_of(server));
  pump_until_up();
  const std::string channel = "\0\r\n$5\r\n* \xFF\xC3\n"s;
  const std::string payload = "\r\n\0+OK\r\n\x80"s;
  link().subscribe(channel);
  link().subscribe("");
  pump_until_told("subscribed " + channel);
  pump_until_told("subscribed ");
  EXPECT_TRUE(tell({"PUBLISH", channel, payload}));
  EXPECT_TRUE(tell({"PUBLISH", "", "x"}));
  pump_until_told("message :x");
  EXPECT_EQ(log[3], "message " + channel + ":" + payload);
}

TEST_F(RedisLinkTest, AuthenticatesAndSelects) {
  RedisServer server({"--requirepass", "se cret"});
  server.password = "se cret";
  start(url_of(server, ":se%20cret@", 3));
  pump_until_up();
  EXPECT_NE(ask({"CLIENT", "INFO"}).text.find(" db=3 "), std::string::npos);
  server.ask({"ACL", "SETUSER", "ann", "on", ">pw", "~*", "&*", "+@all"});
  destroy_link();
  start(url_of(server, "ann:pw@"));
  pump_until_up();
  EXPECT_EQ(ask({"ACL", "WHOAMI"}).text, "ann");
}

TEST_F(RedisLinkTest, AWrongPasswordNeedsHelpAndIsToldOnce) {
  RedisServer server({"--requirepass", "right"});
  server.password = "right";
  start(url_of(server, ":wr%6Fng-word@"));
  pump_until_told("help");
  EXPECT_NE(why.find("WRONGPASS"), std::string::npos) << why;
  EXPECT_EQ(why.find("wrong-word"), std::string::npos);
  // It goes on trying, and says nothing.
  pump_until([&] { return server.number("errorstats", "errorstat_WRONGPASS:count=") >= 5; });
  EXPECT_EQ(log, (Log{"help"}));
  server.ask({"ACL", "SETUSER", "default", ">wrong-word"});
  pump_until_up();
  EXPECT_EQ(log, (Log{"help", "up"}));
}

TEST_F(RedisLinkTest, APasswordThatIsMissingNeedsHelp) {
  RedisServer server({"--requirepass", "right"});
  start(url_of(server));
  pump_until_told("help");
  EXPECT_NE(why.find("NOAUTH"), std::string::npos) << why;
}

TEST_F(RedisLinkTest, AWrongDatabaseNeedsHelp) {
  RedisServer server;
  start(url_of(server, {}, 9));
  pump_until_told("help");
  EXPECT_NE(why.find("DB index"), std::string::npos) << why;
}

TEST_F(RedisLinkTest, AMissingRightNeedsHelpWhereverItIsMissed) {
  RedisServer server;
  server.ask({"ACL", "SETUSER", "ann", "on", ">pw", "~*", "resetchannels", "&ok*", "+@all", "-role"});
  start(url_of(server, "ann:pw@"));
  pump_until_told("help");
  EXPECT_NE(why.find("NOPERM"), std::string::npos) << why;
  server.ask({"ACL", "SETUSER", "ann", "+role"});
  pump_until_up();
  take_log();

  // A command gets its answer first.
  std::string answer;
  EXPECT_TRUE(tell({"PUBLISH", "no", "x"}, [&](const RedisReply* reply) { answer = reply->text; }));
  pump_until_told("help");
  EXPECT_EQ(answer.substr(0, 6), "NOPERM");
  pump_until_up();
  take_log();

  // A channel, in the same words; then at each attempt.
  link().subscribe("no");
  pump_until_told("down");
  EXPECT_NE(why.find("NOPERM"), std::string::npos) << why;
  server.ask({"ACL", "SETUSER", "ann", "allchannels"});
  pump_until_up();
  EXPECT_EQ(take_log(), (Log{"down", "up"}));
  EXPECT_EQ(ask({"PUBLISH", "no", "x"}).integer, 1);
}

TEST_F(RedisLinkTest, TheSameHelpIsToldOnceThoughTheLinkIsUpBetween) {
  RedisServer server;
  server.ask({"ACL", "SETUSER", "ann", "on", ">pw", "~*", "resetchannels", "&ok*", "+@all"});
  start(url_of(server, "ann:pw@"));
  for (int i = 0; i < 3; ++i) {
    pump_until_up();
    tell({"PUBLISH", "no", "x"});
    pump_until_down();
  }
  EXPECT_EQ(log, (Log{"up", "help", "up", "down", "up", "down"}));
}

TEST_F(RedisLinkTest, RefusesAReplicaUntilItIsAMaster) {
  RedisServer master;
  RedisServer replica({"--replicaof", "127.0.0.1 " + std::to_string(master.port())});
  start(url_of(replica));
  pump_until_told("down");
  EXPECT_NE(why.find("replica"), std::string::npos) << why;
  replica.ask({"REPLICAOF", "NO", "ONE"});
  pump_until_up();
  EXPECT_EQ(log, (Log{"down", "up"}));
}

TEST_F(RedisLinkTest, AProbeNoticesThatTheMasterWasDemoted) {
  RedisServer other;
  RedisServer server;
  options.probe_ms = 100;
  start(url_of(server));
  pump_until_up();
  const std::string before(link().replication_id());
  server.ask({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
  pump_until_told("down");
  EXPECT_NE(why.find("replica"), std::string::npos) << why;
  server.ask({"REPLICAOF", "NO", "ONE"});
  pump_until_up();
  EXPECT_NE(link().replication_id(), before);
  EXPECT_EQ(link().stats().reconnects, 1U);
}

TEST_F(RedisLinkTest, ACommandIsToldThatTheMasterIsReadOnly) {
  RedisServer other;
  RedisServer server;
  start(url_of(server));
  pump_until_up();
  server.ask({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
  std::string answer;
  EXPECT_TRUE(tell({"SET", "a", "b"}, [&](const RedisReply* reply) { answer = reply->text; }));
  pump_until_told("down");
  EXPECT_EQ(answer.substr(0, 8), "READONLY");
}

TEST_F(RedisLinkTest, IsUpAgainWhenEitherConnectionWasKilled) {
  RedisServer server;
  start(url_of(server));
  link().subscribe("a");
  pump_until_up();
  for (const std::string_view type : {"normal", "pubsub"}) {
    take_log();
    server.ask({"CLIENT", "KILL", "TYPE", type});
    pump_until_told("up");
    EXPECT_EQ(log, (Log{"down", "up"}));
    EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 1);
    pump_until_told("message a:x");
    EXPECT_EQ(server.count_clients("normal"), 1U);
    EXPECT_EQ(server.count_clients("pubsub"), 1U);
  }
  EXPECT_EQ(link().stats().reconnects, 2U);
}

TEST_F(RedisLinkTest, LosesWhoDoesNotAnswerAProbe) {
  RedisServer server;
  options.probe_ms = 100;
  start(url_of(server));
  link().subscribe("a");
  pump_until_up();
  server.suspend();
  bool was_lost = false;
  EXPECT_TRUE(tell({"PING"}, [&](const RedisReply* reply) { was_lost = reply == nullptr && !link().is_up(); }));
  pump_until_told("down");
  EXPECT_TRUE(was_lost);
  EXPECT_NE(why.find("in time"), std::string::npos) << why;
  server.resume();
  pump_until_up();
  EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 1);
}

TEST_F(RedisLinkTest, WaitsForAServerThatIsGone) {
  RedisServer server;
  start(url_of(server));
  link().subscribe("a");
  pump_until_up();
  server.kill();
  pump_until_told("down");
  link().subscribe("b");
  link().unsubscribe("a");
  link().subscribe("c");
  link().unsubscribe("c");
  server.restart();
  pump_until_up();
  EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 0);
  EXPECT_EQ(ask({"PUBLISH", "b", "x"}).integer, 1);
  EXPECT_EQ(ask({"PUBLISH", "c", "x"}).integer, 0);
  EXPECT_EQ(log[0], "up");
  EXPECT_EQ(count("down"), 1U);
}

// Who does not read in time is ended by the server.
TEST_F(RedisLinkTest, IsUpAgainWhenTheServerHadTooMuchForIt) {
  RedisServer server({"--client-output-buffer-limit", "pubsub 100kb 0 0"});
  start(url_of(server));
  link().subscribe("a");
  pump_until_up();
  const std::string payload(500'000, 'x');
  for (int i = 0; i < 40; ++i) server.ask({"PUBLISH", "a", payload});
  pump_until_told("down");
  pump_until_up();
  take_log();
  server.ask({"PUBLISH", "a", "y"});
  pump_until_told("message a:y");
}

TEST_F(RedisLinkTest, ConnectsByAUnixSocket) {
  RedisServer server;
  start("redis+unix:" + server.unix_path() + "?db=2");
  link().subscribe("a");
  pump_until_up();
  EXPECT_NE(ask({"CLIENT", "INFO"}).text.find(" db=2 "), std::string::npos);
  EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 1);
}

TEST_F(RedisLinkTest, ConnectsByTlsAndVerifiesTheServer) {
  RedisServer server({}, RedisServer::Kind::kTls);
  start("rediss://" + server.place());
  pump_until_told("help");
  destroy_link();
  options.tls.ca_path = server.certificate();
  start("rediss://" + server.place());
  link().subscribe("a");
  pump_until_up();
  const std::string payload(300'000, 'x');
  EXPECT_EQ(ask({"PUBLISH", "a", payload}).integer, 1);
  pump_until_told("message a:" + payload);
}

TEST_F(RedisLinkTest, ANameMayHaveAnAddressLater) {
  RedisServer server;
  std::atomic<int> asked = 0;
  resolve = [&](const std::string& host, std::uint16_t port) -> Result<std::vector<SocketAddress>> {
    if (++asked < 5) return Error{"'" + host + "' has no address"};
    return std::vector<SocketAddress>{*literal_address("127.0.0.1", port)};
  };
  start("redis://redis.example:" + std::to_string(server.port()));
  pump_until_told("down");
  EXPECT_NE(why.find("redis.example"), std::string::npos) << why;
  pump_until_up();
  EXPECT_EQ(log, (Log{"down", "up"}));
}

TEST_F(RedisLinkTest, KeepsUpWithAChurnOfSubscriptions) {
  RedisServer server;
  start(url_of(server));
  constexpr int kChannels = 3000;
  const auto name = [](int i) { return "a channel of no short name " + std::to_string(i); };
  for (int i = 0; i < kChannels; ++i) link().subscribe(name(i));
  std::uint32_t random = 1;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 500; ++i) {
      random = random * 1664525 + 1013904223;
      const std::string channel = name(static_cast<int>((random >> 8U) % kChannels));
      if ((random & 0x80U) != 0)
        link().subscribe(channel);
      else
        link().unsubscribe(channel);
    }
    if (round == 15) server.ask({"CLIENT", "KILL", "TYPE", "pubsub"});
    loop().service(1);
  }
  // Even ones stay.
  for (int i = 0; i < kChannels; ++i) i % 2 == 0 ? link().subscribe(name(i)) : link().unsubscribe(name(i));
  pump_until([&] {
    bool all = true;
    for (int i = 0; i < kChannels; i += 2) all = all && link().is_subscribed(name(i));
    return all;
  });
  take_log();
  pump_until([&] { return server.number("stats", "pubsub_channels:") == kChannels / 2; });
  for (int i = 0; i < kChannels; ++i) server.ask({"PUBLISH", name(i), "x"});
  server.ask({"PUBLISH", name(0), "end"});
  pump_until_told("message " + name(0) + ":end");
  Log expected;
  for (int i = 0; i < kChannels; i += 2) expected.push_back("message " + name(i) + ":x");
  expected.push_back("message " + name(0) + ":end");
  EXPECT_EQ(log, expected);
}

TEST_F(RedisLinkTest, EachChangeOfASubscriptionIsTold) {
  RedisServer server;
  start(url_of(server));
  pump_until_up();
  link().subscribe("a");
  pump_until_told("subscribed a");
  link().subscribe("a");
  link().subscribe("b");
  pump_until_told("subscribed b");
  EXPECT_EQ(take_log(), (Log{"up", "subscribed a", "subscribed b"}));
  link().unsubscribe("a");
  link().subscribe("a");
  EXPECT_FALSE(link().is_subscribed("a"));
  pump_until_told("subscribed a");
  link().unsubscribe("a");
  link().subscribe("a");
  link().unsubscribe("a");
  link().unsubscribe("never");
  pump_until([&] { return ask({"PUBLISH", "a", "x"}).integer == 0; });
  EXPECT_EQ(log, (Log{"subscribed a"}));
}

TEST_F(RedisLinkTest, FinishSendsWhatIsQueued) {
  RedisServer server;
  start(url_of(server));
  pump_until_up();
  {
    const Loop::Round round(loop());
    for (int i = 0; i < 100; ++i) tell({"INCR", "count"}, [](const RedisReply*) { ADD_FAILURE() << "it was told"; });
    link().finish();
    EXPECT_FALSE(link().is_up());
    EXPECT_FALSE(tell({"INCR", "count"}));
    link().subscribe("a");
    link().finish();
  }
  while (server.ask({"GET", "count"}).text != "100") loop().service(1);
  while (server.count_clients() > 0) loop().service(1);
  EXPECT_EQ(log, (Log{"up"}));
}

// --- With sentinels ---

class RedisSentinelTest : public RedisLinkTest {
 protected:
  static std::vector<std::string> watching(const RedisServer& master, std::vector<std::string> more = {}) {
    more.insert(more.begin(), "sentinel monitor the-master 127.0.0.1 " + std::to_string(master.port()) + " 1");
    return more;
  }
};

TEST_F(RedisSentinelTest, FindsTheMasterByTheFirstSentinelThatKnowsIt) {
  RedisServer master({"--requirepass", "pw"});
  RedisServer ignorant({}, RedisServer::Kind::kSentinel);
  RedisServer sentinel(watching(master), RedisServer::Kind::kSentinel);
  const UnusedAddress nobody("127.0.0.1");
  start("redis+sentinel://:pw@" + nobody.address().text() + "," + ignorant.place() + "," + sentinel.place() +
        "/the-master/1");
  link().subscribe("a");
  pump_until_up();
  EXPECT_EQ(log, (Log{"up"}));
  EXPECT_NE(ask({"CLIENT", "INFO"}).text.find(" db=1 "), std::string::npos);
  EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 1);
}

TEST_F(RedisSentinelTest, GoesToTheNewMaster) {
  RedisServer first;
  RedisServer second;
  RedisServer sentinel(watching(first), RedisServer::Kind::kSentinel);
  start("redis+sentinel://" + sentinel.place() + "/the-master");
  pump_until_up();
  const std::string before(link().replication_id());
  sentinel.ask({"SENTINEL", "REMOVE", "the-master"});
  sentinel.ask({"SENTINEL", "MONITOR", "the-master", "127.0.0.1", std::to_string(second.port()), "1"});
  first.kill();
  pump_until_told("up", 2);
  EXPECT_NE(second.ask({"INFO", "replication"}).text.find(link().replication_id()), std::string::npos);
  EXPECT_NE(link().replication_id(), before);
}

TEST_F(RedisSentinelTest, ANameThatNoneKnowsNeedsHelp) {
  RedisServer ignorant({}, RedisServer::Kind::kSentinel);
  start("redis+sentinel://" + ignorant.place() + "/the-master");
  pump_until_told("help");
  EXPECT_NE(why.find("the-master"), std::string::npos) << why;
}

TEST_F(RedisSentinelTest, LogsInWhereASentinelAsksForIt) {
  RedisServer master({"--requirepass", "pw"});
  RedisServer sentinel(watching(master, {"requirepass pw"}), RedisServer::Kind::kSentinel);
  start("redis+sentinel://:pw@" + sentinel.place() + "/the-master");
  pump_until_up();
  destroy_link();
  start("redis+sentinel://:other@" + sentinel.place() + "/the-master");
  pump_until_told("down");
  EXPECT_NE(why.find("sentinel"), std::string::npos) << why;
  EXPECT_EQ(why.find("other"), std::string::npos) << why;
}

TEST_F(RedisSentinelTest, ASentinelIsNoMaster) {
  RedisServer sentinel({}, RedisServer::Kind::kSentinel);
  start("redis://" + sentinel.place());
  pump_until_told("help");
  EXPECT_NE(why.find("redis+sentinel://"), std::string::npos) << why;
}

}  // namespace
}  // namespace websockets
