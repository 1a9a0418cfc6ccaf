// SPDX-License-Identifier: MIT
#include "cluster/listener_handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "temporary_folder.h"

namespace websockets {
namespace {

using Status = HandoverSocket::Status;

// Both versions, in one process.
class ListenerHandoverTest : public testing::Test {
 protected:
  ListenerHandoverTest() {
    std::array<int, 2> pair{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
    for (const int fd : pair) ::fcntl(fd, F_SETFL, O_NONBLOCK);
    old_.emplace(UniqueFd(pair[0]));
    new_.emplace(UniqueFd(pair[1]));
  }

  static Listener open(const std::string& where) { return std::move(listen_at(where, {})->front()); }
  void give(const Listener& listener, HandoverKind kind = HandoverKind::kListeners) {
    const std::array<int, 1> descriptors{listener.fd.get()};
    EXPECT_EQ(old_->send(kind, listener.name, descriptors), Status::kDone);
  }
  void end() { EXPECT_EQ(old_->send(HandoverKind::kEnd, ""), Status::kDone); }
  HandoverMessage received() {
    HandoverMessage message;
    EXPECT_EQ(old_->receive(message), Status::kDone);
    return message;
  }
  std::string path() const { return folder_.path() + "/socket"; }
  bool has_file() const { return std::filesystem::exists(path()); }

  std::optional<HandoverSocket> old_;
  std::optional<ListenerHandover> new_;
  TemporaryFolder folder_;
};

TEST_F(ListenerHandoverTest, GivesListenersByTheirNames) {
  const Listener first = open("127.0.0.1:0");
  const Listener second = open("127.0.0.1:0");
  give(first);
  give(second);
  end();
  EXPECT_TRUE(new_->take("127.0.0.1:1").empty());
  const std::vector<Listener> taken = new_->take(second.name);
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].name, second.name);
  EXPECT_EQ(local_address(taken[0].fd.get()).text(), second.name);
  EXPECT_TRUE(new_->take(second.name).empty());
  EXPECT_EQ(new_->take(first.name).size(), 1U);
}

TEST_F(ListenerHandoverTest, GivesAllOfOneNameInTheirOrder) {
  const Listener first = open("127.0.0.1:0");
  const Listener second = open("127.0.0.1:0");
  const Listener other = open("127.0.0.1:0");
  const std::array<int, 2> descriptors{first.fd.get(), second.fd.get()};
  EXPECT_EQ(old_->send(HandoverKind::kListeners, "fd:3", descriptors), Status::kDone);
  give(other);
  give({UniqueFd(::dup(other.fd.get())), {}, "fd:3"});
  end();
  const std::vector<Listener> taken = new_->take("fd:3");
  ASSERT_EQ(taken.size(), 3U);
  EXPECT_EQ(local_address(taken[0].fd.get()).text(), first.name);
  EXPECT_EQ(local_address(taken[1].fd.get()).text(), second.name);
  EXPECT_EQ(local_address(taken[2].fd.get()).text(), other.name);
}

TEST_F(ListenerHandoverTest, WaitsForAnOldVersionThatStillSends) {
  const Listener listener = open("127.0.0.1:0");
  std::thread sender([&] {
    give(listener);
    end();
  });
  EXPECT_EQ(new_->take(listener.name).size(), 1U);
  sender.join();
}

TEST_F(ListenerHandoverTest, TakesWhatWasSentByOneThatIsGone) {
  const Listener listener = open("127.0.0.1:0");
  give(listener);
  old_->close();
  EXPECT_EQ(new_->take(listener.name).size(), 1U);
  EXPECT_TRUE(new_->take("127.0.0.1:1").empty());
}

TEST_F(ListenerHandoverTest, TellsWhoIsReady) {
  end();
  new_->take("127.0.0.1:1");
  new_->ready();
  const HandoverMessage message = received();
  EXPECT_EQ(message.kind, HandoverKind::kReady);
  EXPECT_EQ(message.text, std::to_string(::getpid()));
  HandoverMessage none;
  EXPECT_EQ(old_->receive(none), Status::kClosed);
}

TEST_F(ListenerHandoverTest, TellsWhyItFailed) {
  new_->fail("no database");
  const HandoverMessage message = received();
  EXPECT_EQ(message.kind, HandoverKind::kFailed);
  EXPECT_EQ(message.text, "no database");
}

TEST_F(ListenerHandoverTest, ClosesWhatNobodyHasTaken) {
  Listener listener = open("127.0.0.1:0");
  const SocketAddress address = local_address(listener.fd.get());
  give(listener);
  end();
  new_->take("127.0.0.1:1");
  listener.fd.reset();
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::connect(client.get(), address.get(), address.size), 0);
  new_->ready();
  const UniqueFd late(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_NE(::connect(late.get(), address.get(), address.size), 0);
}

TEST_F(ListenerHandoverTest, TheFileOfAUnixSocketStaysTheOldOnesUntilItIsOwned) {
  Listener listener = open("unix:" + path());
  give(listener, HandoverKind::kListenersAndFile);
  end();
  new_->take(listener.name);
  EXPECT_TRUE(has_file());
}

TEST_F(ListenerHandoverTest, TheFileOfAUnixSocketIsRemovedByWhoOwnsIt) {
  Listener listener = open("unix:" + path());
  give(listener, HandoverKind::kListenersAndFile);
  end();
  std::vector<Listener> taken = new_->take(listener.name);
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].name, "unix:" + path());
  new_->ready();
  listener.file.leave();
  taken[0].file.own();
  taken.clear();
  EXPECT_FALSE(has_file());
}

TEST_F(ListenerHandoverTest, TheFileOfASocketThatNobodyHasTakenIsRemovedByReady) {
  Listener listener = open("unix:" + path());
  give(listener, HandoverKind::kListenersAndFile);
  end();
  new_->take("127.0.0.1:1");
  listener.file.leave();
  EXPECT_TRUE(has_file());
  new_->ready();
  EXPECT_FALSE(has_file());
}

TEST_F(ListenerHandoverTest, AForkedProcessLeavesIt) {
  Listener listener = open("unix:" + path());
  give(listener, HandoverKind::kListenersAndFile);
  end();
  new_->take("127.0.0.1:1");
  new_->leave();
  EXPECT_TRUE(new_->take(listener.name).empty());
  EXPECT_TRUE(has_file());
  HandoverMessage none;
  EXPECT_EQ(old_->receive(none), Status::kClosed);
}

TEST(ListenerHandoverVariable, IsTakenOutOfTheEnvironment) {
  std::array<int, 2> pair{-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  const UniqueFd other(pair[0]);
  ::setenv(ListenerHandover::kVariable, std::to_string(pair[1]).c_str(), 1);
  const std::unique_ptr<ListenerHandover> handover = ListenerHandover::from_environment();
  ASSERT_NE(handover, nullptr);
  EXPECT_EQ(::getenv(ListenerHandover::kVariable), nullptr);
  EXPECT_NE(::fcntl(pair[1], F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(ListenerHandover::from_environment(), nullptr);
}

TEST(ListenerHandoverVariable, OfSomethingElseIsNone) {
  const UniqueFd file(::open("/dev/null", O_RDONLY));
  for (const std::string& value : {std::string(), std::string("x"), std::string("1"), std::string("99999"),
                                   std::to_string(file.get()), std::to_string(file.get()) + "x"}) {
    ::setenv(ListenerHandover::kVariable, value.c_str(), 1);
    EXPECT_EQ(ListenerHandover::from_environment(), nullptr) << value;
    EXPECT_EQ(::getenv(ListenerHandover::kVariable), nullptr) << value;
  }
}

}  // namespace
}  // namespace websockets
