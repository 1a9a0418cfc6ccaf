// SPDX-License-Identifier: MIT
#include "cluster/redis_connection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "redis_link_fixture.h"

namespace websockets {
namespace {

class RedisConnectionTest : public DialFixture, public RedisConnectionOwner {
 protected:
  RedisConnectionTest() { options.timeout_ms = 600'000; }
  ~RedisConnectionTest() override { connection.reset(); }

  void start(std::uint16_t port) {
    options.target.host = "127.0.0.1";
    options.target.port = port;
    connection = RedisConnection::create(services(), options, *this);
    connection->start();
  }
  void start() { start(fake.port()); }
  template <typename Function>
  void pump_until(Function is_through) {
    while (!is_through()) {
      fake.serve();
      loop().service(1);
    }
  }
  void pump_until_told(const std::string& event) {
    pump_until([&] { return has(event); });
  }
  bool has(const std::string& event) const { return std::find(log.begin(), log.end(), event) != log.end(); }
  void send(std::initializer_list<std::string_view> command) {
    connection->send({command.begin(), command.size()}, [this](const RedisReply* reply) {
      note(reply == nullptr ? "no reply" : "reply " + reply->text + std::to_string(reply->integer));
    });
  }

  void on_connection_ready(RedisConnection& its) override {
    EXPECT_TRUE(its.is_ready());
    note("ready");
  }
  void on_unasked(RedisConnection&, const RedisReply& reply) override { note("unasked " + reply.text); }
  void on_deferred(RedisConnection&) override { note("deferred"); }
  void on_connection_lost(RedisConnection&, RedisFailure its_failure) override {
    failure = std::move(its_failure);
    note("lost");
  }
  void note(std::string event) {
    EXPECT_TRUE(loop().in_round());
    log.push_back(std::move(event));
    action(log.back());
  }

  FakeRedis fake;
  RedisConnectionOptions options;
  RedisConnection::Pointer connection;
  std::optional<RedisFailure> failure;
  std::function<void(const std::string&)> action = [](const std::string&) {};
};

TEST_F(RedisConnectionTest, SaysWhoItIsAndAsksForTheRoleAtOnce) {
  options.username = "ann";
  options.password = "pw";
  options.database = 7;
  start();
  pump_until_told("ready");
  using Commands = std::vector<FakeRedis::Command>;
  EXPECT_EQ(fake.clients.front().commands,
            (Commands{{"AUTH", "ann", "pw"}, {"SELECT", "7"}, {"ROLE"}, {"INFO", "replication"}}));
  EXPECT_EQ(connection->replication_id(), "0123456789abcdef");
  EXPECT_EQ(connection->place(), fake.place());
  EXPECT_EQ(loop().channel_count(), 0U);
}

TEST_F(RedisConnectionTest, HasTheReplicationIdOfARealServer) {
  RedisServer server;
  start(server.port());
  pump_until_told("ready");
  EXPECT_NE(server.ask({"INFO", "replication"}).text.find("master_replid:" + connection->replication_id() + "\r\n"),
            std::string::npos);
}

TEST_F(RedisConnectionTest, RepliesComeInTheOrderOfTheCommands) {
  start();
  pump_until_told("ready");
  take_log();
  fake.answer = [](FakeRedis::Client&, const FakeRedis::Command& command) -> std::optional<std::string> {
    return command[0] == "NONE" ? "" : "+" + command[0] + "\r\n";
  };
  {
    const Loop::Round round(loop());
    send({"A"});
    connection->send(std::array<std::string_view, 1>{"B"}, nullptr);
    send({"C"});
    connection->tell(std::array<std::string_view, 1>{"NONE"});
  }
  pump_until_told("reply C0");
  EXPECT_EQ(take_log(), (Log{"reply A0", "reply C0"}));
  connection->defer();
  pump_until_told("deferred");
  take_log();
  EXPECT_TRUE(connection->take_activity());
  EXPECT_FALSE(connection->take_activity());
  fake.clients.front().say("+x\r\n+y\r\n");
  pump_until_told("unasked y");
  EXPECT_EQ(log, (Log{"unasked x", "unasked y"}));
}

TEST_F(RedisConnectionTest, ReadsWhatComesByteByByte) {
  start();
  pump_until_told("ready");
  take_log();
  send({"GET"});
  fake.answer = [](FakeRedis::Client&, const FakeRedis::Command&) { return std::nullopt; };
  for (const char& c : FakeRedis::bulk("a\r\nb")) {
    EXPECT_TRUE(log.empty());
    fake.clients.front().say({&c, 1});
    while (!connection->take_activity()) loop().service(1);
  }
  EXPECT_EQ(log, (Log{"reply a\r\nb0"}));
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(RedisConnectionTest, ManyRepliesShareTheThread) {
  start();
  pump_until_told("ready");
  take_log();
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += ":1\r\n";
  int unasked = 0;
  action = [&](const std::string&) { ++unasked; };
  fake.clients.front().say(many);
  int rounds = 0;
  for (; unasked < 10'000; ++rounds) loop().service(-1);
  EXPECT_GT(rounds, 10);
}

TEST_F(RedisConnectionTest, EndsWithTheDeadlineIfItIsNotReady) {
  options.timeout_ms = 20;
  for (const char* last : {"AUTH", "INFO"}) {
    options.password = "pw";
    fake.answer = [&](FakeRedis::Client& client, const FakeRedis::Command& command) -> std::optional<std::string> {
      if (command[0] == last) client.is_stalled = true;
      return client.is_stalled ? std::nullopt : std::optional(FakeRedis::usual_answer(client, command));
    };
    start();
    pump_until_told("lost");
    EXPECT_EQ(failure->why, fake.place() + ": it was not ready in time");
    EXPECT_EQ(failure->remedy, RedisFailure::Remedy::kRetry);
    EXPECT_EQ(take_log(), (Log{"lost"}));
  }
}

TEST_F(RedisConnectionTest, WithoutAGreetingItHasSoLongInAll) {
  options.has_greeting = false;
  options.timeout_ms = 20;
  start();
  pump_until_told("ready");
  EXPECT_EQ(connection->replication_id(), "");
  pump_until_told("lost");
  fake.serve();
  EXPECT_TRUE(fake.clients.empty() || fake.clients.front().commands.empty());
}

TEST_F(RedisConnectionTest, TellsHowItWasLost) {
  using Remedy = RedisFailure::Remedy;
  struct Case {
    std::string said;
    std::string why;
    Remedy remedy;
  };
  for (const Case& its : std::vector<Case>{
           {"+OK\r\n+OK\r\n*1\r\n$6\r\nmas", ": the server ended the connection", Remedy::kRetry},
           {"", ": the server ended the connection", Remedy::kRetry},
           {"HTTP/1.1 400 Bad Request\r\n\r\n", ": it does not speak as a Redis server does", Remedy::kRetry},
           {"*1000000000\r\n", ": a reply is too large", Remedy::kRetry},
           {"-LOADING Redis is loading\r\n", ": LOADING Redis is loading", Remedy::kRetrySoon},
           {"-ERR max number of clients reached\r\n", ": ERR max number of clients reached", Remedy::kRetry},
           {"-DENIED Redis is running in protected mode\r\n", ": DENIED Redis is running in protected mode",
            Remedy::kHelp},
           {"-ERR unknown command 'AUTH', with args beginning with: 'p", ": the server ended the connection",
            Remedy::kRetry},
           {"-ERR unknown command 'AUTH', with args beginning with: 'pw'\r\n", ": ERR unknown command 'AUTH'",
            Remedy::kHelp},
           {"+OK\r\n-ERR DB index is out of range\r\n", ": ERR DB index is out of range", Remedy::kHelp},
           {"+OK\r\n+OK\r\n*2\r\n$5\r\nslave\r\n:1\r\n", ": it is a replica, and no master", Remedy::kRetry},
           {"+OK\r\n+OK\r\n+x\r\n", ": it does not say that it is a master", Remedy::kHelp}}) {
    options.password = "pw";
    options.database = 1;
    options.max_reply_bytes = 1U << 20U;
    fake.answer = [&](FakeRedis::Client& client, const FakeRedis::Command& command) -> std::optional<std::string> {
      if (command[0] != "INFO") return std::nullopt;
      client.say(its.said);
      client.close();
      return std::nullopt;
    };
    start();
    pump_until_told("lost");
    EXPECT_EQ(failure->why, fake.place() + its.why);
    EXPECT_EQ(failure->remedy, its.remedy) << its.why;
    EXPECT_EQ(take_log(), (Log{"lost"}));
  }
}

TEST_F(RedisConnectionTest, AResetAndARefusalAreTold) {
  start();
  pump_until_told("ready");
  fake.clients.front().reset();
  pump_until_told("lost");
  EXPECT_EQ(failure->why, fake.place() + ": the connection was lost: Connection reset by peer");
  const UnusedAddress nobody("127.0.0.1");
  take_log();
  start(nobody.address().port());
  pump_until_told("lost");
  EXPECT_NE(failure->why.find("refused"), std::string::npos) << failure->why;
}

// What was sent may have been done.
TEST_F(RedisConnectionTest, WhatMeansMoreThanItsCommandLosesTheConnection) {
  start();
  pump_until_told("ready");
  take_log();
  fake.answer = [](FakeRedis::Client&, const FakeRedis::Command& command) -> std::optional<std::string> {
    return "-" + command[0] + " no\r\n";
  };
  {
    const Loop::Round round(loop());
    send({"ERR"});
    send({"MOVED"});
    send({"NOPERM"});
  }
  action = [&](const std::string& event) {
    if (event == "lost") connection->break_off();
  };
  pump_until([&] { return log.size() == 4; });
  EXPECT_EQ(log, (Log{"reply ERR no0", "reply MOVED no0", "lost", "no reply"}));
  EXPECT_EQ(failure->remedy, RedisFailure::Remedy::kHelp);
}

TEST_F(RedisConnectionTest, FinishSendsWhatIsQueuedAndTellsNobody) {
  start();
  pump_until_told("ready");
  {
    const Loop::Round round(loop());
    send({"LAST"});
    EXPECT_GT(connection->queued_bytes(), 0U);
    connection->finish();
  }
  pump_until([&] { return fake.count_open() == 0; });
  EXPECT_EQ(fake.commands("LAST").size(), 1U);
  EXPECT_EQ(log, (Log{"ready"}));
}

TEST_F(RedisConnectionTest, MayBeClosedInEachCall) {
  for (const char* when : {"ready", "unasked x", "deferred", "lost", "reply 0"}) {
    action = [&](const std::string& event) {
      if (event == when) connection.reset();
    };
    start();
    const auto is_through = [&] { return connection == nullptr; };
    pump_until([&] { return is_through() || connection->is_ready(); });
    if (connection != nullptr) {
      connection->defer();
      send({"GET"});
      pump_until([&] { return is_through() || (has("reply 0") && has("deferred")); });
    }
    if (connection != nullptr) fake.clients.back().say("+x\r\n+x\r\n");
    if (connection != nullptr) pump_until([&] { return is_through() || has("unasked x"); });
    if (connection != nullptr) fake.clients.back().close();
    pump_until(is_through);
    EXPECT_EQ(log.back(), when);
    take_log();
    pump_until([&] { return fake.count_open() == 0; });
    EXPECT_EQ(loop().memory().used(), 0U);
  }
}

TEST_F(RedisConnectionTest, NothingIsSentWhenMemoryIsShort) {
  start();
  pump_until_told("ready");
  take_log();
  for (std::size_t failing = 1;; ++failing) {
    const Loop::Round round(loop());
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      try {
        send({"A COMMAND THAT TAKES MEMORY OF ITS OWN"});
      } catch (const std::bad_alloc&) {
        has_failed = true;
        EXPECT_EQ(connection->queued_bytes(), 0U);
      }
    }
    if (!has_failed) break;
  }
  pump_until_told("reply 0");
  EXPECT_EQ(log, (Log{"reply 0"}));
}

}  // namespace
}  // namespace websockets
