// SPDX-License-Identifier: MIT
#include "server/acceptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "loop/loop.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

// While there is one, the process may open no more descriptors.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::dup(0);
    ::close(next);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(next);
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

class AcceptorTest : public testing::Test, public LoopOwner, public AcceptorOwner {
 protected:
  void SetUp() override {
    ASSERT_FALSE(loop_.open());
    ASSERT_FALSE(loop_.open_own_loop(false));
    Result<std::vector<Listener>> listeners = listen_at("unix:" + path(), {});
    ASSERT_TRUE(listeners) << listeners.error().text;
    acceptor_ = std::make_unique<Acceptor>(loop_, *this, std::move(listeners->front()));
    ASSERT_TRUE(acceptor_->start());
  }

  std::string path() const { return folder_.path() + "/socket"; }

  // Connects at once: the listener's queue has room. An empty one: nobody listens.
  UniqueFd connect() const {
    Result<SocketAddress> address = unix_address(path());
    UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(client.get(), address->get(), address->size) == 0 ? std::move(client) : UniqueFd();
  }

  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_round_end() override {}
  void on_accepted(UniqueFd fd, const SocketAddress& peer) override {
    if (std::exchange(is_short_of_memory_, false)) throw std::bad_alloc();
    EXPECT_TRUE(peer.is_unix());
    accepted_.push_back(std::move(fd));
  }
  void on_turned_away() override { ++turned_away_; }
  bool has_more_than_others() const override { return has_more_; }

  LoopOptions options_;
  Loop loop_{options_, *this};
  TemporaryFolder folder_;
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<UniqueFd> accepted_;
  int turned_away_ = 0;
  bool has_more_ = false;
  bool is_short_of_memory_ = false;
};

TEST_F(AcceptorTest, HandsOverWhoConnects) {
  const UniqueFd first = connect();
  const UniqueFd second = connect();
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 2U);
  EXPECT_FALSE(acceptor_->failed());
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 2U);
}

TEST_F(AcceptorTest, TellsWhereItListens) { EXPECT_EQ(acceptor_->address().text(), "unix:" + path()); }

// Those that are there already have their turn, too.
TEST_F(AcceptorTest, TakesOnlySomeAtATime) {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(connect());
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 16U);
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 20U);
}

TEST_F(AcceptorTest, TurnsClientsAwayWhenThereAreNoDescriptors) {
  const UniqueFd client = connect();
  {
    const NoDescriptors none;
    loop_.service(0);
  }
  EXPECT_TRUE(accepted_.empty());
  EXPECT_EQ(turned_away_, 1);
  EXPECT_TRUE(acceptor_->failed());
  char byte;
  EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 0);
  const UniqueFd another = connect();
  while (accepted_.empty()) loop_.service(1000);  // it may pause before: the system says so, too, when nobody waits
  EXPECT_EQ(accepted_.size(), 1U);
  EXPECT_FALSE(acceptor_->failed());
}

TEST_F(AcceptorTest, PausesWhenMemoryIsShort) {
  is_short_of_memory_ = true;
  const UniqueFd lost = connect();
  loop_.service(0);
  EXPECT_TRUE(acceptor_->failed());
  const UniqueFd client = connect();
  loop_.service(0);
  EXPECT_TRUE(accepted_.empty());
  EXPECT_TRUE(acceptor_->scheduled());
  while (accepted_.empty()) loop_.service(1000);
  EXPECT_FALSE(acceptor_->scheduled());
}

TEST_F(AcceptorTest, LeavesTheNextOneToOtherProcessesWhileItHasMoreThanThey) {
  has_more_ = true;
  const UniqueFd first = connect();
  const UniqueFd second = connect();
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 2U) << "it is the only one that accepts";
  acceptor_->suspend();
  ASSERT_TRUE(acceptor_->start(true));
  const UniqueFd third = connect();
  const UniqueFd fourth = connect();
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 3U);
  EXPECT_TRUE(acceptor_->scheduled());
  while (accepted_.size() < 4) loop_.service(1000);
}

TEST_F(AcceptorTest, AcceptsNobodyWhileItIsSuspended) {
  acceptor_->suspend();
  const UniqueFd client = connect();
  EXPECT_TRUE(client) << "it listens";
  loop_.service(0);
  EXPECT_TRUE(accepted_.empty());
  ASSERT_TRUE(acceptor_->start());
  loop_.service(0);
  EXPECT_EQ(accepted_.size(), 1U);
}

TEST_F(AcceptorTest, ListensNoMoreOnceItWasStopped) {
  acceptor_->stop();
  EXPECT_FALSE(connect());
  EXPECT_FALSE(std::filesystem::exists(path()));
  acceptor_->stop();
}

TEST_F(AcceptorTest, LeavesItsFileToAnotherProcess) {
  acceptor_->abandon();
  EXPECT_TRUE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace websockets
