// SPDX-License-Identifier: MIT
#include "cluster/redis_sentinels.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "redis_link_fixture.h"

namespace websockets {
namespace {

class RedisSentinelsTest : public DialFixture, public RedisSentinelsOwner {
 protected:
  RedisSentinelsTest() {
    url.master_name = "the-master";
    url.password = "secret";
    for (FakeRedis& fake : fakes) {
      url.servers.push_back({"127.0.0.1", fake.port()});
      fake.answer = [](FakeRedis::Client&, const FakeRedis::Command&) { return "*-1\r\n"; };
    }
  }
  ~RedisSentinelsTest() override {
    const Loop::Round round(loop());
    sentinels.abort();
  }

  std::string look_up() {
    {
      const Loop::Round round(loop());
      sentinels.start();
    }
    while (log.empty()) {
      for (FakeRedis& fake : fakes) fake.serve();
      loop().service(1);
    }
    EXPECT_EQ(log.size(), 1U);
    return take_log()[0];
  }
  static std::string address(const std::string& host, const std::string& port) {
    return "*2\r\n" + FakeRedis::bulk(host) + FakeRedis::bulk(port);
  }
  void say(std::size_t which, const std::string& text) {
    fakes[which].answer = [text](FakeRedis::Client&, const FakeRedis::Command&) { return text; };
  }
  std::size_t count_asked(std::size_t which) const { return fakes[which].commands("SENTINEL").size(); }

  void on_master_found(const std::string& host, std::uint16_t port) override {
    const FailingAllocation::Pause pause;
    EXPECT_TRUE(loop().in_round());
    log.push_back(host + " " + std::to_string(port));
  }
  void on_master_not_found(RedisFailure failure) override {
    const FailingAllocation::Pause pause;
    EXPECT_TRUE(loop().in_round());
    EXPECT_EQ(failure.why.find("secret"), std::string::npos);
    log.push_back((failure.remedy == RedisFailure::Remedy::kHelp ? "help: " : "none: ") + failure.why);
  }

  std::array<FakeRedis, 3> fakes;
  RedisUrl url;
  RedisSentinels sentinels{services(), url, 600'000, *this};
};

TEST_F(RedisSentinelsTest, AsksOneAfterTheOtherAndBeginsWithTheOneThatKnew) {
  say(1, address("192.0.2.1", "6380"));
  EXPECT_EQ(look_up(), "192.0.2.1 6380");
  EXPECT_EQ(fakes[0].commands("SENTINEL"),
            (std::vector<FakeRedis::Command>{{"SENTINEL", "get-master-addr-by-name", "the-master"}}));
  EXPECT_EQ(count_asked(2), 0U);
  say(1, address("2001:db8::1", "65535"));
  EXPECT_EQ(look_up(), "2001:db8::1 65535");
  EXPECT_EQ(count_asked(0), 1U);
  say(1, "*-1\r\n");
  say(2, address("name.example", "1"));
  EXPECT_EQ(look_up(), "name.example 1");
  EXPECT_EQ(count_asked(0), 1U);
}

TEST_F(RedisSentinelsTest, ANameThatNoneKnowsNeedsHelp) {
  EXPECT_EQ(look_up(), "help: sentinel " + fakes[2].place() + ": it knows no master 'the-master'");
  say(0, "-IDONTKNOW no\r\n");
  EXPECT_EQ(look_up().substr(0, 5), "none:");
}

TEST_F(RedisSentinelsTest, PassesWhoIsOfNoUse) {
  for (const std::string& said :
       {std::string("-ERR 'secret'\r\n"), std::string("HTTP/1.1 400\r\n"), address("192.0.2.1", "0"),
        address("192.0.2.1", "65536"), address("192.0.2.1", "x"), address("", "1"), std::string("*1\r\n$1\r\nx\r\n"),
        std::string("+OK\r\n"), std::string("*-1\r\n*-1\r\n"), "$100000\r\n" + std::string(100'000, 'x')}) {
    for (std::size_t i = 0; i < 3; ++i) say(i, said);
    EXPECT_NE(look_up().find("sentinel 127.0.0.1:"), std::string::npos);
    say(1, address("192.0.2.1", "1"));
    EXPECT_EQ(look_up(), "192.0.2.1 1");
  }
  for (FakeRedis& fake : fakes) {
    fake.answer = [](FakeRedis::Client& client, const FakeRedis::Command&) {
      client.close();
      return std::nullopt;
    };
  }
  EXPECT_NE(look_up().find("the server ended the connection"), std::string::npos);
}

TEST_F(RedisSentinelsTest, AnswersNobodyAfterItsAbort) {
  {
    const Loop::Round round(loop());
    sentinels.start();
  }
  while (count_asked(0) == 0) {
    fakes[0].serve();
    loop().service(1);
  }
  {
    const Loop::Round round(loop());
    sentinels.abort();
  }
  while (fakes[0].count_open() > 0) {
    fakes[0].serve();
    loop().service(1);
  }
  EXPECT_TRUE(log.empty());
}

TEST_F(RedisSentinelsTest, LogsInOnlyWhereItHasTo) {
  for (std::size_t i = 0; i < 3; ++i) {
    fakes[i].answer = [](FakeRedis::Client& client, const FakeRedis::Command& command) -> std::optional<std::string> {
      if (command[0] == "AUTH") {
        client.channels = command[1] == "secret" ? 1 : 0;
        return client.channels > 0 ? "+OK\r\n" : "-WRONGPASS no\r\n";
      }
      return client.channels > 0 ? address("192.0.2.1", "1") : "-NOAUTH Authentication required.\r\n";
    };
  }
  EXPECT_EQ(look_up(), "192.0.2.1 1");
  EXPECT_EQ(fakes[0].commands("AUTH"), (std::vector<FakeRedis::Command>{{"AUTH", "secret"}}));
  url.password = "other";
  EXPECT_EQ(look_up(), "none: sentinel " + fakes[2].place() + ": NOAUTH Authentication required.");
  url.username = "ann";
  url.password = "secret";
  EXPECT_EQ(look_up().substr(0, 5), "none:");
  EXPECT_EQ(fakes[2].commands("AUTH").back(), (FakeRedis::Command{"AUTH", "ann", "secret"}));
}

TEST_F(RedisSentinelsTest, EachAllocationMayFail) {
  say(2, address("a host whose name takes memory of its own", "1"));
  for (std::size_t failing = 1;; ++failing) {
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      {
        const Loop::Round round(loop());
        sentinels.start();
      }
      while (log.empty()) {
        for (FakeRedis& fake : fakes) fake.serve();
        loop().service(1);
      }
      has_failed = failure.has_failed();
    }
    EXPECT_EQ(log.size(), 1U);
    take_log();
    if (!has_failed) break;
  }
  EXPECT_EQ(loop().memory().used(), 0U);
}

}  // namespace
}  // namespace websockets
