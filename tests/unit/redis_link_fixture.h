// SPDX-License-Identifier: MIT
// A loop with what it takes to connect, and the owner of a link, which writes down what it is told.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/redis_link.h"
#include "dial/tls_client_contexts.h"
#include "failing_allocations.h"
#include "fake_redis.h"
#include "loop/background_tasks.h"
#include "loop_fixture.h"
#include "redis_server.h"

namespace websockets {

class DialFixture : public LoopFixture {
 protected:
  DialFixture() : tasks_(std::in_place, loop()), contexts_(std::in_place, *tasks_) {}
  ~DialFixture() override { end(); }

  DialServices services() { return {loop(), *tasks_, *contexts_, resolve}; }
  // Nothing of them may be left.
  void end() {
    loop().service(0);
    contexts_.reset();
    tasks_.reset();
  }

  NameLookup::Resolve resolve;

 private:
  std::optional<BackgroundTasks> tasks_;
  std::optional<TlsClientContexts> contexts_;
};

class RedisLinkFixture : public DialFixture, public RedisLinkOwner {
 protected:
  RedisLinkFixture() {
    options.retry = {.delay = 0.01, .factor = 1.5, .max_delay = 0.1};
    options.help_retry_ms = 50;
    options.connect_timeout_ms = options.probe_ms = 600'000;  // never, but where a test says so
  }
  ~RedisLinkFixture() override { link_.reset(); }

  RedisLink& start(const std::string& url) {
    options.url = *parse_redis_url(url);
    link_.emplace(services(), options, static_cast<RedisLinkOwner&>(*this));
    link_->start();
    return *link_;
  }
  RedisLink& link() { return *link_; }
  void destroy_link() { link_.reset(); }

  template <typename Function>
  void pump_until(Function is_through) {
    while (!is_through()) {
      if (fake) fake->serve();
      loop().service(fake ? 1 : 5);
    }
  }
  void pump_until_up() {
    pump_until([&] { return link().is_up(); });
  }
  void pump_until_down() {
    pump_until([&] { return !link().is_up(); });
  }
  std::size_t count(std::string_view event) const {
    return static_cast<std::size_t>(std::count(log.begin(), log.end(), event));
  }
  // Until it was told so often.
  void pump_until_told(std::string_view event, std::size_t times = 1) {
    pump_until([&] { return count(event) >= times; });
  }
  // What has been sent is answered then.
  RedisReply ask(std::initializer_list<std::string_view> command) {
    std::optional<RedisReply> answer;
    EXPECT_TRUE(link().send({command.begin(), command.size()}, [&](const RedisReply* reply) {
      const FailingAllocation::Pause pause;
      answer = reply == nullptr ? RedisReply{.type = RedisReply::Type::kError, .text = "none", .elements = {}} : *reply;
    }));
    pump_until([&] { return answer.has_value(); });
    return *answer;
  }
  bool tell(std::initializer_list<std::string_view> command, RedisCommands::OnReply on_reply = nullptr) {
    return link().send({command.begin(), command.size()}, std::move(on_reply));
  }
  void open_fake() { fake.emplace(); }
  std::string fake_url() const { return "redis://" + fake->place(); }

  void on_link_up(RedisLink& its) override {
    EXPECT_TRUE(its.is_up());
    note("up");
  }
  void on_link_down(RedisLink& its, const std::string& its_why, bool needs_help) override {
    EXPECT_FALSE(its.is_up());
    {
      const FailingAllocation::Pause pause;
      why = its_why;
    }
    note(needs_help ? "help" : "down");
  }
  void on_subscribed(RedisLink& its, std::string_view channel) override {
    EXPECT_TRUE(its.is_subscribed(channel));
    note("subscribed ", channel);
  }
  void on_message(RedisLink& its, std::string_view channel, std::span<const std::uint8_t> payload) override {
    EXPECT_TRUE(its.is_subscribed(channel));
    note("message ", channel, as_text(payload));
  }

  RedisLinkOptions options;
  std::optional<FakeRedis> fake;
  std::string why;  // of the last on_link_down()
  std::function<void(const std::string& event)> action = [](const std::string&) {};

 private:
  void note(std::string_view event, std::string_view channel = {}, std::string_view payload = {}) {
    EXPECT_TRUE(loop().in_round());
    std::string text;
    {
      const FailingAllocation::Pause pause;
      text.append(event).append(channel);
      if (!payload.empty()) text.append(":").append(payload);
      log.push_back(text);
    }
    action(text);
  }

  std::optional<RedisLink> link_;
};

}  // namespace websockets
