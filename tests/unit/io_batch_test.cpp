// SPDX-License-Identifier: MIT
#include "net/io_batch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "socket_pairs.h"

namespace websockets {
namespace {

iovec part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

std::string text_of(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

class IoBatchTest : public testing::Test {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    batch_ = IoBatch::take();
    if (batch_ == nullptr) GTEST_SKIP() << "no io_uring here";
    for (std::size_t i = 0; i < IoBatch::kMost; ++i) pairs_.push_back(tcp_pair());
  }

  BorrowedBatch batch_;
  std::vector<SocketPair> pairs_;
};

TEST_F(IoBatchTest, ReceivesForEachItsOwn) {
  for (unsigned round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (i != 3) write_all(pairs_[i].far.get(), std::string(i + round + 1, static_cast<char>('a' + i)));
    }
    for (const SocketPair& pair : pairs_) batch_->add_receive(pair.near.get());
    EXPECT_EQ(batch_->size(), pairs_.size());
    const std::span<const IoResult> results = batch_->run();
    ASSERT_EQ(results.size(), pairs_.size());
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      EXPECT_EQ(results[i].status, i == 3 ? IoStatus::kWouldBlock : IoStatus::kDone);
      const std::size_t count = i == 3 ? 0 : i + round + 1;
      EXPECT_EQ(text_of(batch_->received(i)), std::string(count, static_cast<char>('a' + i)));
    }
  }
}

TEST_F(IoBatchTest, ReceivesNoMoreThanThereIsRoomFor) {
  write_all(pairs_[0].far.get(), std::string(IoBatch::kReceiveBytes + 1, 'x'));
  batch_->add_receive(pairs_[0].near.get());
  EXPECT_EQ(batch_->run()[0].bytes, IoBatch::kReceiveBytes);
  batch_->add_receive(pairs_[0].near.get());
  EXPECT_EQ(batch_->run()[0].bytes, 1U);
}

TEST_F(IoBatchTest, KnowsTheEndFromAnError) {
  pairs_[0].far.reset();
  const linger at_once{1, 0};
  ASSERT_EQ(::setsockopt(pairs_[1].far.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  pairs_[1].far.reset();
  batch_->add_receive(pairs_[0].near.get());
  batch_->add_receive(pairs_[1].near.get());
  batch_->add_receive(-1);
  const std::span<const IoResult> results = batch_->run();
  EXPECT_EQ(results[0].status, IoStatus::kEnd);
  EXPECT_EQ(results[1].status, IoStatus::kFailed);
  EXPECT_EQ(results[1].error, ECONNRESET);
  EXPECT_EQ(results[2].status, IoStatus::kFailed);
}

TEST_F(IoBatchTest, SendsOnePartAndSeveral) {
  const std::array<iovec, 3> parts{part("one"), part("two"), part("three")};
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    batch_->add_send(pairs_[i].near.get(), std::span(parts).first(1 + i % parts.size()));
  }
  const std::span<const IoResult> results = batch_->run();
  const std::array<std::string, 3> expected{"one", "onetwo", "onetwothree"};
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const std::string& text = expected[i % parts.size()];
    EXPECT_EQ(results[i].status, IoStatus::kDone);
    EXPECT_EQ(results[i].bytes, text.size());
    EXPECT_EQ(read_exactly(pairs_[i].far.get(), text.size()), text);
  }
}

// Without SIGPIPE, and without waiting.
TEST_F(IoBatchTest, SendsToWhoIsGoneOrDoesNotRead) {
  const std::string much(1U << 20U, 'x');
  const std::array<iovec, 1> parts{part(much)};
  pairs_[0].far.reset();
  IoResult gone{IoStatus::kDone, 0};
  IoResult slow{IoStatus::kDone, 0};
  for (int i = 0; i < 100 && (gone.status == IoStatus::kDone || slow.status == IoStatus::kDone); ++i) {
    batch_->add_send(pairs_[0].near.get(), parts);
    batch_->add_send(pairs_[1].near.get(), parts);
    const std::span<const IoResult> results = batch_->run();
    gone = results[0];
    slow = results[1];
  }
  EXPECT_EQ(gone.status, IoStatus::kFailed);
  EXPECT_EQ(slow.status, IoStatus::kWouldBlock);
}

TEST_F(IoBatchTest, IsOnePerThread) {
  EXPECT_EQ(IoBatch::take(), nullptr);
  EXPECT_EQ(errno, EBUSY);
  IoBatch* const before = batch_.get();
  batch_.reset();
  batch_ = IoBatch::take();
  EXPECT_EQ(batch_.get(), before);
}

TEST_F(IoBatchTest, IsAnotherOneInAChild) {
  write_all(pairs_[0].far.get(), "child");
  const pid_t child = ::fork();
  if (child == 0) {
    const BorrowedBatch own = IoBatch::take();
    if (own == nullptr || own.get() == batch_.get()) ::_exit(1);
    own->add_receive(pairs_[0].near.get());
    ::_exit(own->run()[0].bytes == 5 ? 0 : 2);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// As when the process is forbidden to use it later on: nothing is lost, and there is none any more.
TEST_F(IoBatchTest, IsGivenUpWhenTheSystemRefuses) {
  write_all(pairs_[0].far.get(), "left");
  const pid_t child = ::fork();
  if (child == 0) {
    const int ring_fd = ::dup(0);  // the ring gets the same
    ::close(ring_fd);
    BorrowedBatch own = IoBatch::take();
    ::close(ring_fd);
    own->add_receive(pairs_[0].near.get());
    if (own->run()[0].status != IoStatus::kWouldBlock) ::_exit(1);
    own.reset();
    if (IoBatch::take() != nullptr) ::_exit(2);
    std::array<char, 5> rest{};
    ::_exit(::recv(pairs_[0].near.get(), rest.data(), rest.size(), 0) == 4 ? 0 : 3);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  EXPECT_EQ(status, 0);
}

// What the parent shares is not used again, even when a child gives it back.
TEST_F(IoBatchTest, IsNotTheParentsWhenAChildGivesThatBack) {
  const IoBatch* const of_parent = batch_.get();
  const pid_t child = ::fork();
  if (child == 0) {
    if (IoBatch::take() == nullptr) ::_exit(1);
    batch_.reset();
    const BorrowedBatch own = IoBatch::take();
    ::_exit(own != nullptr && own.get() != of_parent ? 0 : 2);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace websockets
