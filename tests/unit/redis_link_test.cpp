// SPDX-License-Identifier: MIT
#include "cluster/redis_link.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "forked.h"
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

// --- With one that does what a real one does not do on demand ---

class RedisLinkFakeTest : public RedisLinkTest {
 protected:
  RedisLinkFakeTest() { open_fake(); }

  void start_up() {
    start(fake_url());
    pump_until_up();
  }
  // Whose it is: GET that of the commands, PING that of the subscriptions.
  FakeRedis::Client& client_of(std::string_view command) {
    FakeRedis::Client* found = nullptr;
    pump_until([&] {
      for (FakeRedis::Client& client : fake->clients) {
        for (const Command& its : client.commands) {
          if (client.is_open() && its[0] == command) found = &client;
        }
      }
      return found != nullptr;
    });
    return *found;
  }
  // The connections that the link has left, too.
  void expect_nothing_left() {
    pump_until([&] { return fake->count_open() == 0; });
    EXPECT_EQ(loop().memory().used(), 0U);
    EXPECT_EQ(loop().channel_count(), 0U);
  }
};

TEST_F(RedisLinkFakeTest, AServerThatLoadsItsDataIsWaitedFor) {
  int left = 3;
  fake->answer = [&](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    if (left > 0 && command[0] == "ROLE") {
      --left;
      return "-LOADING Redis is loading the dataset in memory\r\n";
    }
    return FakeRedis::usual_answer(client, command);
  };
  start(fake_url());
  pump_until_up();
  EXPECT_EQ(log, (Log{"down", "up"}));
}

TEST_F(RedisLinkFakeTest, AServerThatDoesNotAnswerInTimeIsTriedAgain) {
  options.connect_timeout_ms = 100;
  int left = 2;
  fake->answer = [&](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    if (command[0] == "INFO" && left > 0) {
      --left;
      return std::nullopt;
    }
    return FakeRedis::usual_answer(client, command);
  };
  start(fake_url());
  pump_until_told("down");
  EXPECT_NE(why.find("not ready in time"), std::string::npos) << why;
  pump_until_up();
}

TEST_F(RedisLinkFakeTest, AConfirmationThatDoesNotComeIsMissedByTheProbe) {
  options.probe_ms = 30;
  bool is_silent = true;
  fake->answer = [&](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    if (command[0] == "SUBSCRIBE" && is_silent) {
      client.is_stalled = true;
      return std::nullopt;
    }
    return FakeRedis::usual_answer(client, command);
  };
  start(fake_url());
  link().subscribe("a");
  pump_until_told("down");
  is_silent = false;
  pump_until_up();
}

TEST_F(RedisLinkFakeTest, WhoIsSlowButSpeaksIsAlive) {
  options.probe_ms = 20;
  std::size_t probes = 0;
  fake->answer = [&](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    if (command[0] == "PING") {
      ++probes;
      return std::nullopt;
    }
    return FakeRedis::usual_answer(client, command);
  };
  start_up();
  FakeRedis::Client& subscriber = client_of("PING");
  const std::size_t answered = fake->commands("ROLE").size();
  pump_until([&] {
    subscriber.say(FakeRedis::message("other", "x"));
    return fake->commands("ROLE").size() >= answered + 4 || !link().is_up();
  });
  EXPECT_TRUE(link().is_up());
  EXPECT_EQ(probes, 1U);
}

TEST_F(RedisLinkFakeTest, TwoMastersBehindOneAddressAreNone) {
  int asked = 0;
  fake->answer = [&](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    if (command[0] != "INFO" || ++asked > 2) return FakeRedis::usual_answer(client, command);
    return FakeRedis::bulk("role:master\r\nmaster_replid:" + std::to_string(asked) + "\r\n");
  };
  start(fake_url());
  pump_until_told("down");
  EXPECT_NE(why.find("several masters"), std::string::npos) << why;
  pump_until_up();
}

TEST_F(RedisLinkFakeTest, WhatWasNotAskedForLosesTheLink) {
  start_up();
  for (const std::string& said :
       {std::string("+x\r\n"), std::string("*0\r\n"), std::string("*1\r\n$7\r\nmessage\r\n"),
        "*3\r\n" + FakeRedis::bulk("subscribe") + FakeRedis::bulk("never") + ":1\r\n",
        "*3\r\n" + FakeRedis::bulk("unsubscribe") + FakeRedis::bulk("never") + ":0\r\n", std::string("?\r\n"),
        "*4\r\n" + FakeRedis::bulk("pmessage") + FakeRedis::bulk("*") + FakeRedis::bulk("a") + FakeRedis::bulk("x")}) {
    take_log();
    client_of("PING").say(said);
    pump_until_told("up");
    EXPECT_EQ(log, (Log{"down", "up"}));
  }
  // Nobody has published it: it was never subscribed to.
  take_log();
  client_of("PING").say(FakeRedis::message("a", "x"));
  ask({"GET", "a"});
  client_of("GET").say(FakeRedis::message("a", "x"));
  pump_until_told("up");
  EXPECT_EQ(log, (Log{"down", "up"}));
}

TEST_F(RedisLinkFakeTest, ALossInTheMidstOfAReplyIsTold) {
  start_up();
  fake->answer = [](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    if (command[0] != "GET") return FakeRedis::usual_answer(client, command);
    client.say("$100\r\nabc");
    client.reset();
    return std::nullopt;
  };
  const RedisReply reply = ask({"GET", "a"});
  EXPECT_EQ(reply.text, "none");
  pump_until_told("up", 2);
  EXPECT_EQ(log, (Log{"up", "down", "up"}));
}

TEST_F(RedisLinkFakeTest, EachCommandThatHasNoReplyIsToldSoOnceAndInOrder) {
  start_up();
  fake->answer = [](FakeRedis::Client&, const Command&) { return std::nullopt; };
  for (int i = 0; i < 3; ++i) {
    tell({"GET"}, [this, i](const RedisReply* reply) {
      log.push_back((reply == nullptr ? "none " : "some ") + std::to_string(i));
      EXPECT_FALSE(link().is_up());
      EXPECT_FALSE(tell({"GET"}));
      link().subscribe("a");
    });
  }
  pump_until([&] { return fake->commands("GET").size() == 3; });
  fake->answer = FakeRedis::usual_answer;
  client_of("GET").close();
  pump_until_told("up", 2);
  EXPECT_EQ(log, (Log{"up", "none 0", "none 1", "none 2", "down", "up"}));
}

TEST_F(RedisLinkFakeTest, SendsNoMoreThanMayWait) {
  options.max_queued_bytes = 100'000;
  start_up();
  for (FakeRedis::Client& client : fake->clients) client.is_stalled = true;
  const std::string payload(10'000, 'x');
  std::size_t sent = 0;
  while (tell({"PUBLISH", "a", payload})) {
    ++sent;
    EXPECT_LE(link().stats().queued_bytes, 100'000U);
  }
  EXPECT_FALSE(tell({"PUBLISH", "a", payload}));
  EXPECT_EQ(link().stats().dropped, 2U);
  EXPECT_EQ(link().stats().sent, sent);
  for (FakeRedis::Client& client : fake->clients) client.is_stalled = false;
  pump_until([&] { return fake->commands("PUBLISH").size() == sent; });
  // What is larger than that goes alone.
  EXPECT_TRUE(tell({"PUBLISH", "a", std::string(300'000, 'x')}));
  pump_until([&] { return fake->commands("PUBLISH").size() == sent + 1; });
  EXPECT_EQ(log, (Log{"up"}));
}

TEST_F(RedisLinkFakeTest, CommandsOfOneRoundLeaveTogether) {
  start_up();
  const std::uint64_t sent = loop().stats().bytes_sent;
  const Loop::Round round(loop());
  tell({"PUBLISH", "a", "x"});
  tell({"PUBLISH", "a", "y"});
  EXPECT_EQ(loop().stats().bytes_sent, sent);
  EXPECT_GT(link().stats().queued_bytes, 0U);
}

TEST_F(RedisLinkFakeTest, SubscriptionsOfOneRoundAreOneCommand) {
  start_up();
  for (int i = 0; i < 5; ++i) link().subscribe(std::to_string(i));
  pump_until_told("subscribed 4");
  EXPECT_EQ(fake->commands("SUBSCRIBE"), (std::vector<Command>{{"SUBSCRIBE", "0", "1", "2", "3", "4"}}));
}

TEST_F(RedisLinkFakeTest, NoMessageComesBeforeTheLinkIsUpNorAfterItsChannelWasLeft) {
  fake->answer = [](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
    std::string said = FakeRedis::usual_answer(client, command);
    if (command[0] == "SUBSCRIBE") {
      said.insert(0, FakeRedis::message("a", "early"));
      said += FakeRedis::message("a", "x") + FakeRedis::message("b", "y");
    }
    return said;
  };
  action = [&](const std::string& event) {
    if (event == "message a:x") link().unsubscribe("b");
  };
  start(fake_url());
  link().subscribe("a");
  link().subscribe("b");
  pump_until_told("message a:x");
  pump_until([&] { return !fake->commands("UNSUBSCRIBE").empty(); });
  EXPECT_EQ(log, (Log{"up", "message a:x"}));
}

TEST_F(RedisLinkFakeTest, MayBeDestroyedInEachState) {
  // As far as the n-th command that is answered.
  for (std::size_t answers = 0; answers < 14; ++answers) {
    for (const bool in_round : {false, true}) {
      std::size_t left = answers;
      bool was_asked = false;
      fake->answer = [&](FakeRedis::Client& client, const Command& command) -> std::optional<std::string> {
        was_asked = true;
        if (left == 0) return std::nullopt;
        --left;
        return FakeRedis::usual_answer(client, command);
      };
      start(fake_url());
      link().subscribe("a");
      pump_until([&] { return was_asked && left == 0 ? true : link().is_up(); });
      for (int i = 0; i < 10; ++i) {
        fake->serve();
        loop().service(1);
      }
      if (link().is_up()) tell({"GET"}, [](const RedisReply*) { ADD_FAILURE() << "it was told"; });
      action = [](const std::string&) { ADD_FAILURE() << "the owner was told"; };
      if (in_round) {
        const Loop::Round round(loop());
        loop().service(0);
        destroy_link();
        loop().service(0);
      } else {
        destroy_link();
      }
      expect_nothing_left();
      action = [](const std::string&) {};
      fake->clients.clear();
    }
  }
}

TEST_F(RedisLinkFakeTest, MayBeDestroyedBeforeItIsConnected) {
  start(fake_url());
  destroy_link();
  resolve = [](const std::string&, std::uint16_t) -> Result<std::vector<SocketAddress>> { return Error{"none"}; };
  start("redis://redis.example");
  loop().service(0);
  destroy_link();
  options.retry.delay = options.retry.max_delay = 600;
  start("redis://redis.example");
  pump_until_told("down");
  loop().service(0);
  destroy_link();
  options.url = *parse_redis_url(fake_url());
  const RedisLink never(services(), options, *this);
  expect_nothing_left();
}

TEST_F(RedisLinkFakeTest, MayBeFinishedInEachCall) {
  for (const std::string_view when : {"up", "down", "message a:x", "subscribed b", "reply", "none"}) {
    action = [&](const std::string& event) {
      if (event == when) link().finish();
    };
    start(fake_url());
    link().subscribe("a");
    pump_until([&] { return count("up") > 0; });
    const auto is_over = [&] { return count(when) > 0; };
    if (!is_over()) {
      client_of("PING").say(FakeRedis::message("a", "x"));
      link().subscribe("b");
      const auto note = [&](const RedisReply* reply) {
        log.emplace_back(reply == nullptr ? "none" : "reply");
        action(log.back());
      };
      tell({"GET"}, note);
      pump_until(
          [&] { return is_over() || (count("message a:x") > 0 && count("subscribed b") > 0 && count("reply") > 0); });
      fake->answer = [](FakeRedis::Client&, const Command&) { return std::nullopt; };
      if (!is_over()) {
        tell({"GET"}, note);
        fake->serve();
        for (FakeRedis::Client& client : fake->clients) client.close();
      }
    }
    pump_until(is_over);
    EXPECT_EQ(log.back(), when);
    EXPECT_FALSE(link().is_up());
    expect_nothing_left();
    fake->answer = FakeRedis::usual_answer;
    fake->clients.clear();
    take_log();
  }
}

// The parent goes on with it.
TEST_F(RedisLinkTest, AForkedProcessGivesItUpWithoutAWord) {
  RedisServer plain;
  RedisServer tls({}, RedisServer::Kind::kTls);
  options.tls.ca_path = tls.certificate();
  for (const std::string& url : {url_of(plain), "rediss://" + tls.place()}) {
    start(url);
    link().subscribe("a");
    pump_until_up();
    EXPECT_EQ(ask({"PING"}).text, "PONG");
    const pid_t child = ::fork();
    if (child == 0) {
      run_in_child([&] {
        loop().abandon();
        {
          const Loop::Round round(loop());
          link().abandon();
        }
        destroy_link();
        return !HasFailure();
      });
    }
    EXPECT_TRUE(has_succeeded(child));
    EXPECT_EQ(ask({"PUBLISH", "a", "x"}).integer, 1);
    pump_until_told("message a:x");
    EXPECT_EQ(take_log(), (Log{"up", "message a:x"}));
    destroy_link();
  }
}

TEST_F(RedisLinkFakeTest, EachAllocationMayFail) {
  options.retry = {.delay = 0, .factor = 1, .max_delay = 0};
  options.help_retry_ms = 0;
  const std::string url = fake_url();
  const std::string channel = "a channel whose name takes memory of its own";
  const std::string payload(5000, 'x');
  std::size_t failing = 0;
  for (bool has_failed = true; has_failed;) {
    ++failing;
    {
      const FailingAllocation failure(failing);
      for (bool is_made = false; !is_made;) {
        try {
          start(url);
          is_made = true;
        } catch (const std::bad_alloc&) {
        }
      }
      const auto or_again = [](auto function) {
        try {
          function();
        } catch (const std::bad_alloc&) {
          function();
        }
      };
      or_again([&] { link().subscribe(channel); });
      bool was_told = false;
      bool was_answered = false;
      {
        const FailingAllocation::Pause pause;
        action = [&](const std::string& event) { was_told = was_told || event.size() > payload.size(); };
      }
      while (!was_told || !was_answered) {
        fake->serve();
        loop().service(0);
        if (!link().is_up()) continue;
        or_again([&] {
          tell({"PUBLISH", channel, payload}, [&](const RedisReply* reply) { was_answered |= reply != nullptr; });
        });
        const FailingAllocation::Pause pause;
        fake->serve();
        client_of("PING").say(FakeRedis::message(channel, payload));
      }
      has_failed = failure.has_failed();
    }
    action = [](const std::string&) {};
    destroy_link();
    expect_nothing_left();
    fake->clients.clear();
    ASSERT_FALSE(HasFailure()) << "allocation " << failing;
    take_log();
  }
  EXPECT_GT(failing, 50U);
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
