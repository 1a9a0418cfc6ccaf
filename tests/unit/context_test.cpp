// SPDX-License-Identifier: MIT
#include "server/context.h"

#include <gtest/gtest.h>

#include <string>

#include "context_fixture.h"

namespace websockets {
namespace {

class ContextTest : public ContextFixture {};

TEST_F(ContextTest, ServesAWebsocketFromAcceptToItsEnd) {
  create();
  const UniqueFd client = open_websocket();
  write_all(client.get(), client_text("hi"));
  serve_until(2);
  EXPECT_EQ(read_exactly(client.get(), 4), "\x81\x02hi");
  const StatsReport report = context->report();
  EXPECT_EQ(report.connections, 1U);
  EXPECT_EQ(report.counted.connections, 1U);
  EXPECT_EQ(report.counted.messages_received, 1U);
  ASSERT_EQ(report.protocols.size(), 1U);
  EXPECT_EQ(report.protocols[0].open, 1U);
  write_all(client.get(), client_close());
  serve_until(4);
  EXPECT_EQ(read_exactly(client.get(), 5), "\x88\x02\x03\xE8") << "and the end";
  EXPECT_EQ(log, (Log{"open", "message:hi", "closed 1000", "freed"}));
}

TEST_F(ContextTest, AnswersRequests) {
  create();
  const UniqueFd client = connect();
  write_all(client.get(), "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  serve_until(1);
  EXPECT_TRUE(read_exactly(client.get(), 100'000).ends_with("hello"));
  EXPECT_EQ(context->report().counted.http_requests, 1U);
}

TEST_F(ContextTest, TellsOfRefusalsWhereTheOptionsAskForIt) {
  options.reports_refusals = true;
  create();
  const UniqueFd client = connect();
  write_all(client.get(), "nonsense\r\n\r\n");
  serve_until(1);
  EXPECT_EQ(log, (Log{"refused"}));
}

TEST_F(ContextTest, BroadcastsToItsWebsockets) {
  create();
  const UniqueFd client = open_websocket();
  {
    const Loop::Round round(context->loop());
    context->hub().broadcast(context->hub().subprotocols()[0], as_bytes("all"));
  }
  EXPECT_EQ(read_exactly(client.get(), 5),
            "\x81\x03"
            "all");
}

struct Guest final : Receiver {
  Guest() : Receiver(true) {}
};

TEST_F(ContextTest, PublishesToGuestsByTheSessionThatTheyHave) {
  create();
  const UniqueFd client = open_websocket();
  Guest guest;
  context->hub().subscribe(guest, "topic");
  const auto publish = [&](std::string_view data) {
    const Loop::Round round(context->loop());
    return context->hub().publish("topic", Opcode::kText, as_bytes(data)).receivers;
  };
  EXPECT_EQ(publish("nobody"), 0U);
  handler.guest = handler.connection->session();
  EXPECT_EQ(publish("you"), 1U);
  EXPECT_EQ(read_exactly(client.get(), 5),
            "\x81\x03"
            "you");
  context->hub().unsubscribe_all(guest);
  EXPECT_EQ(publish("nobody"), 0U);
}

TEST_F(ContextTest, TerminatesOnlyTheOneOfThisSerialNumber) {
  create();
  const UniqueFd client = open_websocket();
  const int fd = handler.connection->descriptor();
  const auto serial = static_cast<std::uint32_t>(handler.connection->serial());
  context->terminate(fd, serial + 1);
  context->terminate(-1, serial);
  EXPECT_EQ(log, (Log{"open"}));
  {
    const Loop::Round round(context->loop());
    context->terminate(fd, serial);
  }
  EXPECT_EQ(log, (Log{"open", "closed 1006", "freed"}));
}

TEST_F(ContextTest, ServesOneDescriptorAtATime) {
  options.announces_descriptors = true;
  create();
  const UniqueFd client = open_websocket();
  const int fd = handler.connection->descriptor();
  write_all(client.get(), client_text("hi"));
  EXPECT_EQ(context->service_descriptor(fd), Context::DescriptorStatus::kServed);
  EXPECT_EQ(log.back(), "message:hi");
  handler.action = [&](const std::string& event) {
    if (event == "message:bye") handler.connection->terminate();
  };
  write_all(client.get(), client_text("bye"));
  EXPECT_EQ(context->service_descriptor(fd), Context::DescriptorStatus::kClosed);
}

TEST_F(ContextTest, ShutsDownWhenAllConnectionsAreGone) {
  create();
  const UniqueFd client = open_websocket();
  context->shut_down(1'000'000, CloseCode::kGoingAway, "end");
  EXPECT_TRUE(context->is_shutting_down());
  EXPECT_EQ(context->listener_count(), 0U);
  EXPECT_FALSE(context->is_destroyed());
  EXPECT_EQ(read_exactly(client.get(), 7),
            "\x88\x05\x03\xE9"
            "end");
  write_all(client.get(), client_close());
  ::shutdown(client.get(), SHUT_WR);
  while (!context->is_destroyed()) context->service(-1);
  EXPECT_EQ(log, (Log{"open", "closed 1001:end", "freed"}));
}

TEST_F(ContextTest, ShutsDownInTimeWhateverItsPeersDo) {
  create();
  const UniqueFd client = open_websocket();
  context->shut_down(1, CloseCode::kGoingAway, {});
  while (!context->is_destroyed()) context->service(-1);
  EXPECT_EQ(log.back(), "freed");
}

TEST_F(ContextTest, DestroyClosesEverythingOnce) {
  create();
  const UniqueFd client = open_websocket();
  context->destroy();
  context->destroy();
  EXPECT_EQ(log, (Log{"open", "closed 1001", "freed"}));
  EXPECT_EQ(read_exactly(client.get(), 5), "\x88\x02\x03\xE9") << "and the end";
  context->service(-1);
}

TEST_F(ContextTest, TellsItsOwnerOfItsEndOnce) {
  create();
  const UniqueFd client = open_websocket();
  context->shut_down(1'000'000, CloseCode::kServiceRestart, {});
  context->shut_down(2'000'000, CloseCode::kGoingAway, {});
  EXPECT_EQ(handler.endings, (std::vector<std::string>{"shut down 1012"}));
  context->destroy();
  context->destroy();
  EXPECT_EQ(handler.endings, (std::vector<std::string>{"shut down 1012", "destroy"}));
}

TEST_F(ContextTest, SaysWhyItCannotBeMade) {
  options.listen = {"unix:/nowhere/at/all"};
  const Result<std::unique_ptr<Context>> made = Context::create(options, handler);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ENOENT);
}

TEST_F(ContextTest, HasNoCertificatesToReloadWithoutTls) {
  create();
  EXPECT_TRUE(context->reload_certificates());
}

TEST_F(ContextTest, DrainsAndEnds) {
  create();
  const UniqueFd first = open_websocket();
  const UniqueFd second = open_websocket();
  log.clear();
  context->drain(100, 1'000'000, CloseCode::kServiceRestart);
  context->drain(0, 0, CloseCode::kNormal);  // does nothing
  const SocketAddress address = context->address(0);
  UniqueFd third(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_NE(::connect(third.get(), address.get(), address.size), 0);
  EXPECT_FALSE(context->is_shutting_down());
  for (const UniqueFd* const client : {&first, &second}) {
    write_all(client->get(), client_close());
    ::shutdown(client->get(), SHUT_WR);
  }
  while (!context->is_destroyed()) context->service(-1);
}

TEST_F(ContextTest, AnswersOneMoreRequestOfEachConnectionWhileItDrains) {
  create();
  const UniqueFd client = connect();
  const std::string request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  write_all(client.get(), request);
  serve_until(1);
  context->drain(1'000'000, 1'000'000, CloseCode::kServiceRestart);
  write_all(client.get(), request);
  serve_until(2);
  ::shutdown(client.get(), SHUT_WR);
  while (!context->is_destroyed()) context->service(-1);
  const std::string answers = read_exactly(client.get(), 10'000);
  EXPECT_NE(answers.find("Connection: close"), std::string::npos);
  EXPECT_GT(answers.find("Connection: close"), answers.find("hello"));
}

TEST_F(ContextTest, ClosesItsWebsocketsWhileItDrains) {
  create();
  const UniqueFd client = open_websocket();
  context->drain(0, 1, CloseCode::kServiceRestart);
  while (!context->is_destroyed()) context->service(-1);
  EXPECT_EQ(read_exactly(client.get(), 4), std::string("\x88\x02\x03\xF4", 4));
}

}  // namespace
}  // namespace websockets
