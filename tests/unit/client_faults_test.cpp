// SPDX-License-Identifier: MIT
// A client that connects, is refused, opens, talks, is closed, and opens anew, as often as it allocates, each time with
// another allocation that fails: it goes on, or it ends; its owner is told once, and nothing is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "client_fixture.h"

namespace websockets {
namespace {

class ClientFaults : public ClientFixture {
 protected:
  ClientFaults() {
    options.asks_owner = true;
    options.redirects = 1;
    options.compression.emplace();
    options.opening.protocols = {"a protocol with a name that is not short"};
    options.opening.headers = {{"X-Api-Key", "a value that takes memory of its own"}};
    options.proxy_use = ClientOptions::ProxyUse::kNone;
    options.reconnect.emplace(RetryOptions{.delay = 0, .attempts = 4});
  }

  // What a server does, as far as it is asked.
  void answer(const std::function<std::string(FarEnd&)>& text) {
    settle();
    if (dials.far.size() == answered_) return;
    answered_ = dials.far.size();
    if (far().has_ended()) return;
    std::string bytes;
    {
      const FailingAllocation::Pause pause;
      bytes = text(far());
    }
    ::send(far().fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    settle();
  }
  static std::string granted(FarEnd& its) {
    return its.grant(
        "Sec-WebSocket-Protocol: a protocol with a name that is not short\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  }
  void say(Client* client) {
    if (client == nullptr || clients().count() == 0) return;
    try {
      const Loop::Round round(loop());
      client->send(Opcode::kText, true, payload_);
      client->send(Opcode::kPing, true, {});
    } catch (const std::bad_alloc&) {
    }
  }
  // False: nothing has failed.
  bool play(std::size_t failing) {
    answered_ = dials.far.size();
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      Client* client = nullptr;
      try {
        client = &connect();
      } catch (const std::bad_alloc&) {
      }
      say(client);
      answer([](FarEnd&) {
        return std::string(
            "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/path\r\nContent-Length: 0\r\n\r\n");
      });
      answer([](FarEnd&) {
        return "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 2000\r\n\r\n" +
               std::string(2000, 'x');
      });
      answer([](FarEnd& its) { return granted(its) + server_text("a") + server_text("b"); });
      say(client);
      settle();
      if (has_far_end()) ::send(far().fd(), "\x88\x02\x03\xE9", 4, MSG_NOSIGNAL);
      answer([](FarEnd& its) { return granted(its) + server_text("c"); });
      say(client);
      has_failed = failure.has_failed();
    }
    check();
    return has_failed;
  }

 private:
  bool has_far_end() { return !dials.far.empty() && !far().has_ended(); }
  long count(std::string_view beginning) const {
    return std::count_if(log.begin(), log.end(), [&](const auto& event) { return event.rfind(beginning, 0) == 0; });
  }
  void check() {
    {
      const Loop::Round round(loop());
      clients().destroy();
    }
    settle();
    EXPECT_EQ(count("freed"), count("closed"));
    EXPECT_LE(count("closed"), 1);
    EXPECT_EQ(dials.alive, 0);
    EXPECT_EQ(loop().memory().used(), 0U);
    EXPECT_EQ(loop().channel_count(), 0U);
    log.clear();
    dials.far.clear();
    dials.targets.clear();
    restart();
  }

  std::vector<std::uint8_t> payload_ = std::vector<std::uint8_t>(2000, 0x78);
  std::size_t answered_ = 0;
};

TEST_F(ClientFaults, EachAllocationMayFail) {
  std::size_t failing = 1;
  while (play(failing)) {
    ASSERT_FALSE(HasFailure()) << "allocation " << failing;
    ++failing;
  }
  EXPECT_GT(failing, 100U);
}

}  // namespace
}  // namespace websockets
