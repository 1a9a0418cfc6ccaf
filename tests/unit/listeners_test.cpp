// SPDX-License-Identifier: MIT
#include "server/listeners.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <string>

#include "loop_fixture.h"
#include "server/options.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#define SPREADS_CLIENTS
constexpr bool kSpreads = true;
#else
constexpr bool kSpreads = false;
#endif

class ListenersTest : public LoopFixture, protected AcceptorOwner {
 protected:
  void open(std::vector<std::string> where, std::size_t workers = 0) {
    options.listen = std::move(where);
    options.workers = workers;
    const Error error = listeners.open(options);
    ASSERT_FALSE(error) << error.text;
  }
  UniqueFd connect(std::size_t place = 0) const {
    const SocketAddress& address = listeners.address(place);
    UniqueFd client(::socket(address.storage.ss_family, SOCK_STREAM, 0));
    if (::connect(client.get(), address.get(), address.size) != 0) client.reset();
    return client;
  }
  std::vector<UniqueFd> connect_many(int count) const {
    std::vector<UniqueFd> clients;
    for (int i = 0; i < count; ++i) clients.push_back(connect());
    return clients;
  }
  // How many are accepted of those that wait.
  std::size_t accept() {
    accepted.clear();
    std::size_t before = 0;
    do {
      before = accepted.size();
      loop().service(0);
    } while (accepted.size() > before);
    return accepted.size();
  }

  ContextOptions options;
  Listeners listeners{loop(), static_cast<AcceptorOwner&>(*this)};
  std::vector<UniqueFd> accepted;

 private:
  void on_accepted(UniqueFd fd, const SocketAddress&) override { accepted.push_back(std::move(fd)); }
  void on_turned_away() override {}
  bool has_more_than_others() const override { return false; }
};

TEST_F(ListenersTest, AcceptFromAllOfThemOutsideOfWorkers) {
  open({"127.0.0.1:0"}, 4);
  EXPECT_EQ(listeners.count(), 1U);
  EXPECT_EQ(listeners.acceptors(0).size(), kSpreads ? 4U : 1U);
  ASSERT_FALSE(listeners.start());
  const std::vector<UniqueFd> clients = connect_many(100);
  EXPECT_EQ(accept(), 100U);
}

TEST_F(ListenersTest, TellThatAnAddressIsInUse) {
  open({"127.0.0.1:0"}, 2);
  ContextOptions same = options;
  same.listen = {listeners.address(0).text()};
  Listeners others{loop(), static_cast<AcceptorOwner&>(*this)};
  EXPECT_EQ(others.open(same).code, EADDRINUSE);
}

TEST_F(ListenersTest, OpenThoseOfSlotsLater) {
  open({"127.0.0.1:0", "127.0.0.1:0"});
  EXPECT_EQ(listeners.acceptors(1).size(), 1U);
  ASSERT_FALSE(listeners.open_slots(options, 3));
  ASSERT_FALSE(listeners.open_slots(options, 3));
  EXPECT_EQ(listeners.count(), 2U);
  EXPECT_EQ(listeners.acceptors(0).size(), kSpreads ? 3U : 1U);
  EXPECT_EQ(listeners.acceptors(1).size(), kSpreads ? 3U : 1U);
}

#ifdef SPREADS_CLIENTS

TEST_F(ListenersTest, AcceptFromTheSlotsThatAreServed) {
  open({"127.0.0.1:0"}, 4);
  ASSERT_FALSE(listeners.start());  // so that all of them listen
  listeners.suspend();
  const std::vector<UniqueFd> clients = connect_many(400);
  EXPECT_EQ(accept(), 0U);
  ASSERT_FALSE(listeners.serve(1, 4));
  const std::size_t mine = accept();
  EXPECT_GT(mine, 40U);
  EXPECT_LT(mine, 200U);
  ASSERT_FALSE(listeners.serve(2, 4));  // of a neighbour
  const std::size_t of_neighbour = accept();
  EXPECT_GT(of_neighbour, 40U);
  listeners.leave(2, 4);
  const std::vector<UniqueFd> more = connect_many(400);
  const std::size_t again = accept();
  EXPECT_GT(again, 40U);
  EXPECT_LT(again, 200U);
  // With half as many workers, each has the listeners of two slots.
  listeners.suspend();
  ASSERT_FALSE(listeners.serve(0, 2));
  ASSERT_FALSE(listeners.serve(1, 2));
  accepted.clear();
  EXPECT_EQ(mine + of_neighbour + again + accept(), 800U);
}

TEST_F(ListenersTest, KeepNobodyWaitingAtASlotThatWasNeverServed) {
  open({"127.0.0.1:0"});
  ASSERT_FALSE(listeners.open_slots(options, 4));
  listeners.suspend();
  ASSERT_FALSE(listeners.serve(0, 4));
  const std::vector<UniqueFd> clients = connect_many(100);
  EXPECT_EQ(accept(), 100U);
}

#endif

TEST_F(ListenersTest, ShareOneOfAUnixSocket) {
  const TemporaryFolder folder;
  open({"unix:" + folder.path() + "/socket"}, 3);
  EXPECT_EQ(listeners.acceptors(0).size(), 1U);
  ASSERT_FALSE(listeners.serve(2, 3));
  EXPECT_TRUE(listeners.acceptors(0)[0]->is_exclusive());
  const UniqueFd client = connect();
  EXPECT_EQ(accept(), 1U);
  listeners.leave(1, 3);  // of another worker: it goes on
  const UniqueFd another = connect();
  EXPECT_EQ(accept(), 1U);
  listeners.share();
  listeners.stop();
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/socket")) << "the file is the supervisor's";
}

TEST_F(ListenersTest, DoNothingOnceTheyWereStopped) {
  open({"127.0.0.1:0"}, 2);
  EXPECT_EQ(listeners.find(listeners.acceptors(0)[0].get()), listeners.acceptors(0)[0].get());
  EXPECT_EQ(listeners.find(nullptr), nullptr);
  listeners.stop();
  EXPECT_TRUE(listeners.is_stopped());
  EXPECT_FALSE(listeners.serve(0, 2));
  listeners.leave(0, 2);
  EXPECT_FALSE(connect());
}

}  // namespace
}  // namespace websockets
