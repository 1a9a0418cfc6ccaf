// SPDX-License-Identifier: MIT
// A server and a client that talk to each other, as often as they allocate, each time with another allocation that
// fails: a session goes on, or it ends; what its peer gets is the beginning of what it should, and never half a frame
// with another one behind it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "session_pair.h"

namespace websockets {
namespace {

using namespace session_support;

std::string letters(std::size_t count) {
  std::string text(count, '\0');
  for (std::size_t at = 0; at < count; ++at) text[at] = static_cast<char>('a' + at * at % 23);
  return text;
}

// What of it was accepted.
class Speaker {
 public:
  explicit Speaker(Side& side) : side_(side) {}

  // False: there was no memory.
  bool say(const Said& said) {
    try {
      if (session_support::say(side_, said) != WriteStatus::kAccepted) return true;
      const FailingAllocation::Pause pause;
      accepted.push_back(said);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  std::vector<Said> accepted;

 private:
  Side& side_;
};

struct Scenario {
  const DeflateParameters* agreed = nullptr;
  bool in_chunks = false;
  std::size_t at_once = FakeCarrier::kAnything;
};

class Trial {
 public:
  explicit Trial(const Scenario& scenario)
      : scenario_(scenario), pair_(scenario.agreed, {.per_second = 1000, .burst = 1000}) {
    for (Side* side : {&pair_.server, &pair_.client}) {
      side->session.set_notifies_drain(true);
      side->session.set_chunk_mode(scenario.in_chunks);
      side->session.start(side->now_ms);
    }
    // The server answers each message; where there is no memory for that, its owner's code has failed.
    pair_.server.handler.action = [this](Session&, const std::string& event) {
      const bool is_message = event.find("text:") != std::string::npos || event.find("binary:") != std::string::npos;
      return !is_message || server_.say(echo_);
    };
  }

  // False: nothing has failed.
  bool run(std::size_t failing, const std::vector<Said>& all) {
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      for (const Said& said : all) client_.say(said);
      for (const Said& said : all) server_.say(said);
      pair_.run(scenario_.at_once);
      for (const Said& said : all) client_.say(said);
      pair_.run(scenario_.at_once);
      try {
        pair_.client.session.send_close(CloseCode::kNormal, "bye");
      } catch (const std::bad_alloc&) {
      }
      pair_.run(scenario_.at_once);
      has_failed = failure.has_failed();
    }
    check();
    return has_failed;
  }

 private:
  void check() {
    for (Side* side : {&pair_.server, &pair_.client}) {
      // By then it is for the deadlines to end what waits.
      if (!side->session.has_ended()) side->session.terminate();
      EXPECT_EQ(std::count(side->log.begin(), side->log.end(), "session closed"), 1);
      for (const std::string& event : side->log) {
        if (event.rfind("closed ", 0) != 0) continue;
        const std::string code = event.substr(7, 4);
        EXPECT_TRUE(code == "1000" || code == "1006" || code == "1011") << event;
      }
      EXPECT_EQ(side->session.received_bytes(), 0U);
      EXPECT_EQ(side->session.received_bytes() + side->session.held_output_bytes(), 0U);
      EXPECT_EQ(side->endpoint.memory.used(), side->carrier.output().held_bytes());
    }
    if (scenario_.in_chunks) return;
    expect_beginning(pair_.client.log, server_.accepted);
    expect_beginning(pair_.server.log, client_.accepted);
  }

  static void expect_beginning(const Log& log, const std::vector<Said>& accepted) {
    Log heard = log;
    std::erase_if(
        heard, [](const std::string& event) { return event.rfind("text:", 0) != 0 && event.rfind("binary:", 0) != 0; });
    const Log said = heard_of(accepted);
    ASSERT_LE(heard.size(), said.size());
    EXPECT_TRUE(std::equal(heard.begin(), heard.end(), said.begin()));
  }

  Scenario scenario_;
  Pair pair_;
  Speaker server_{pair_.server};
  Speaker client_{pair_.client};
  Said echo_{Opcode::kText, letters(1500)};
};

void fail_each(const Scenario& scenario) {
  const std::vector<Said> all = {{Opcode::kText, "short"},
                                 {Opcode::kBinary, letters(40)},
                                 {Opcode::kText, letters(3000)},
                                 {Opcode::kPing, "ping"},
                                 {Opcode::kText, letters(30), false},
                                 {.opcode = Opcode::kText, .payload = letters(50), .is_prepared = true},
                                 {.opcode = Opcode::kBinary, .payload = letters(2000), .is_prepared = true},
                                 {Opcode::kPing, "ping"},
                                 {Opcode::kContinuation, letters(2000), false},
                                 {Opcode::kContinuation, ""},
                                 {.opcode = Opcode::kText, .payload = letters(20'000), .is_prepared = true},
                                 {Opcode::kBinary, letters(20'000)}};
  std::size_t failing = 1;
  while (Trial(scenario).run(failing, all)) {
    ASSERT_FALSE(::testing::Test::HasFailure()) << "allocation " << failing;
    ++failing;
  }
  EXPECT_GT(failing, 20U);
}

// Once the pools have what it takes: also of a message that arrives in two pieces.
TEST(SessionFaultsTest, AMessageAllocatesNothing) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    Endpoint endpoint(role);
    Side side(endpoint);
    side.handler.action = [](Session& session, const std::string& event) {
      return session.send(Opcode::kText, true, as_bytes(event)) == WriteStatus::kAccepted;
    };
    const Bytes frame = protocol_support::make_frame({.payload = letters(700), .masked = role == Role::kServer});
    for (const std::size_t first_bytes : {frame.size(), std::size_t{1}, std::size_t{300}}) {
      for (int round = 0; round < 10; ++round) {
        Bytes copy = frame;
        std::span<std::uint8_t> first = std::span(copy).first(first_bytes);
        std::span<std::uint8_t> second = std::span(copy).subspan(first_bytes);
        const FailingAllocation failure(round == 0 ? 0 : 1);  // none of them in the first round
        side.receive(first);
        side.receive(second);
        side.carrier.flush();
        EXPECT_FALSE(failure.has_failed());
      }
    }
    EXPECT_EQ(endpoint.stats.messages_sent, 30U);
  }
}

// The header of a large frame is queued, its payload is not.
TEST(SessionFaultsTest, NothingFollowsHalfAFrame) {
  const std::string payload = letters(20'000);
  const auto ways = std::to_array<std::function<void(Session&)>>({
      [](Session& session) { session.destroy(CloseCode::kGoingAway); },
      [](Session& session) { session.fail(CloseCode::kPolicyViolation, ""); },
      [](Session& session) { session.close(CloseCode::kNormal, ""); },
      [](Session& session) { session.send(Opcode::kText, true, {}); },
  });
  for (const auto& end : ways) {
    Endpoint endpoint(Role::kServer);
    Side side(endpoint);
    {
      const FailingAllocation failure(2);
      EXPECT_THROW(side.session.send(Opcode::kText, true, as_bytes(payload)), std::bad_alloc);
    }
    const std::size_t half_bytes = side.session.buffered_bytes();
    ASSERT_GT(half_bytes, 0U);
    EXPECT_FALSE(side.session.is_open());
    end(side.session);
    EXPECT_LE(side.session.buffered_bytes(), half_bytes);
    EXPECT_LE(side.carrier.sent.size(), half_bytes);
    side.carrier.run_deferred();
    EXPECT_EQ(side.carrier.ended, Carrier::End::kNow);
    EXPECT_EQ(std::count(side.log.begin(), side.log.end(), "session closed"), 1);
    EXPECT_EQ(endpoint.memory.used(), 0U);
  }
}

TEST(SessionFaultsTest, Plain) { fail_each({}); }
TEST(SessionFaultsTest, InPieces) { fail_each({.at_once = 700}); }
TEST(SessionFaultsTest, InChunks) { fail_each({.in_chunks = true, .at_once = 700}); }

TEST(SessionFaultsTest, Compressed) {
  const DeflateParameters keeps;
  const DeflateParameters forgets{.server_no_context_takeover = true, .client_no_context_takeover = true};
  for (const DeflateParameters* const agreed : {&keeps, &forgets}) {
    fail_each({.agreed = agreed});
    fail_each({.agreed = agreed, .at_once = 700});
    fail_each({.agreed = agreed, .in_chunks = true, .at_once = 700});
  }
}

}  // namespace
}  // namespace websockets
