// SPDX-License-Identifier: MIT
#include "loop/batch_io.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_pollable.h"
#include "loop_fixture.h"

namespace websockets {
namespace {

class NoReadyHandler final : public ReadyHandler {
 public:
  void on_ready(std::span<const Ready>) override {}
};

bool has_io_uring() { return IoBatch::take() != nullptr; }

// By io_uring, where there is one, and without.
class BatchIoTest : public LoopFixture, public testing::WithParamInterface<const char*> {
 protected:
  BatchIoTest() {
    watcher.open();
    const Error error = batch.open(GetParam());
    EXPECT_FALSE(error) << error.text;
  }

  // Of channels, named by their numbers, each of which has something to read.
  void make_speakers(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      speakers.push_back(std::make_unique<FakeSpeaker>(loop(), log, std::to_string(i)));
    }
  }
  void serve_speakers() {
    std::vector<Ready> group;
    for (const auto& speaker : speakers) {
      if (!speaker->is_released()) group.push_back({&speaker->channel(), kReadable});
    }
    const Loop::Round round(loop());
    batch.serve(group);
  }

  NoReadyHandler handler;
  Watcher watcher{handler, nullptr, false, ""};
  BatchIo batch{watcher};
  std::vector<std::unique_ptr<FakeSpeaker>> speakers;
};

INSTANTIATE_TEST_SUITE_P(Drivers, BatchIoTest, testing::Values("", "epoll"),
                         [](const auto& info) { return info.param[0] == '\0' ? "best" : info.param; });

TEST_P(BatchIoTest, HandsUpWhatEachHasReceivedInOrder) {
  make_speakers(6);
  for (const auto& speaker : speakers) write_all(speaker->far.get(), "hello");
  serve_speakers();
  EXPECT_EQ(take_log(), (Log{"0 input:hello", "1 input:hello", "2 input:hello", "3 input:hello", "4 input:hello",
                             "5 input:hello"}));
  EXPECT_FALSE(batch.has_undelivered());
  EXPECT_EQ(loop().stats().bytes_received, 30U);
}

TEST_P(BatchIoTest, TellsTheEndOfEach) {
  make_speakers(5);
  for (const auto& speaker : speakers) write_all(speaker->far.get(), "a");
  speakers[2]->far.reset();
  serve_speakers();
  serve_speakers();
  EXPECT_EQ(take_log(), (Log{"0 input:a", "1 input:a", "2 input:a", "3 input:a", "4 input:a", "2 end"}));
}

TEST_P(BatchIoTest, MoreThanABatchReceivesComesWhole) {
  make_speakers(4);
  for (const auto& speaker : speakers) write_all(speaker->far.get(), std::string(50'000, 'x'));
  while (speakers.back()->input_bytes < 50'000) serve_speakers();
  for (const auto& speaker : speakers) EXPECT_EQ(speaker->input_bytes, 50'000U);
}

TEST_P(BatchIoTest, OneThatAnotherHasClosedHearsNothing) {
  make_speakers(5);
  for (const auto& speaker : speakers) write_all(speaker->far.get(), "a");
  speakers[1]->action = [&](const std::string& event) {
    if (event == "input:a") speakers[3]->channel().close();
  };
  serve_speakers();
  EXPECT_EQ(take_log(), (Log{"0 input:a", "1 input:a", "3 closed", "2 input:a", "4 input:a", "3 released"}));
}

TEST_P(BatchIoTest, FewAreServedOneByOne) {
  const SocketPair pair = local_pair();
  FakePollable pollable(pair.near.get(), log, "a");
  pollable.takes = true;
  const std::vector<Ready> group(3, Ready{&pollable, kReadable});
  batch.serve(group);
  EXPECT_EQ(take_log(), (Log(3, "a ready to read")));
}

TEST_P(BatchIoTest, SendsWhatWasCorkedInOrder) {
  make_speakers(6);
  for (const auto& speaker : speakers) {
    speaker->append("hel");
    batch.cork(speaker->channel());
    speaker->append("lo");
    batch.cork(speaker->channel());
  }
  EXPECT_TRUE(batch.has_corked());
  EXPECT_EQ(speakers[0]->heard(), "");
  batch.flush();
  EXPECT_FALSE(batch.has_corked());
  EXPECT_EQ(take_log(), (Log{"0 sent all", "1 sent all", "2 sent all", "3 sent all", "4 sent all", "5 sent all"}));
  for (const auto& speaker : speakers) EXPECT_EQ(speaker->heard(), "hello");
}

TEST_P(BatchIoTest, SendsMuchAndTellsTheLossOfEach) {
  make_speakers(5);
  speakers[1]->far.reset();
  const std::string much((128U << 10U) + 1, 'x');
  for (const auto& speaker : speakers) {
    speaker->append(speaker == speakers[3] ? much : "hello");
    batch.cork(speaker->channel());
  }
  batch.flush();
  std::string heard = speakers[3]->heard();  // all, unless the kernel is short of memory
  EXPECT_EQ(speakers[4]->heard(), "hello");
  EXPECT_EQ(speakers[0]->heard(), "hello");
  EXPECT_NE(std::find(log.begin(), log.end(), "1 broken"), log.end());
  take_log();
  settle();
  heard += speakers[3]->heard();
  EXPECT_TRUE(heard == much) << heard.size();
  std::erase_if(log, [](const std::string& event) { return event.starts_with("3 sent "); });
  EXPECT_EQ(take_log(), (Log{"1 closed", "1 lost", "1 released"}));
}

TEST_P(BatchIoTest, OneThatTakesNoMoreIsWatchedForWriting) {
  make_speakers(4);
  for (int i = 0; i < 30; ++i) {  // the kernel is full then
    for (const auto& speaker : speakers) {
      speaker->append(std::string(100'000, 'x'));
      batch.cork(speaker->channel());
    }
    batch.flush();
  }
  for (const auto& speaker : speakers) EXPECT_EQ(speaker->channel().interest(), kReadable | kWritable);
}

TEST_P(BatchIoTest, OneThatTakesNothingIsWatchedForWriting) {
  make_speakers(4);
  for (const auto& speaker : speakers) {
    const std::string some(4096, 'x');
    while (::send(speaker->channel().fd(), some.data(), some.size(), 0) > 0) {
    }
    speaker->append("hello");
    batch.cork(speaker->channel());
  }
  batch.flush();
  for (const auto& speaker : speakers) EXPECT_EQ(speaker->channel().interest(), kReadable | kWritable);
  EXPECT_EQ(take_log(), Log{});
}

TEST_P(BatchIoTest, OneThatIsClosedMeanwhileIsNotSent) {
  make_speakers(5);
  const Loop::Round round(loop());
  for (const auto& speaker : speakers) {
    speaker->append("hello");
    batch.cork(speaker->channel());
  }
  speakers[2]->channel().close();
  batch.flush();
  EXPECT_EQ(take_log(), (Log{"2 closed", "0 sent all", "1 sent all", "3 sent all", "4 sent all"}));
}

// --- Of a batch ---

class IoUringBatchIoTest : public testing::Test {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    if (!has_io_uring()) GTEST_SKIP() << "no io_uring here";
    ASSERT_FALSE(batch.open(""));
    for (const char* name : {"a", "b", "c", "d"}) {
      pairs.push_back(local_pair());
      write_all(pairs.back().far.get(), "x");
      pollables.push_back(std::make_unique<FakePollable>(pairs.back().near.get(), log, name));
      pollables.back()->takes = true;
      group.push_back({pollables.back().get(), kReadable});
    }
  }

  NoReadyHandler handler;
  Watcher watcher{handler, nullptr, false, ""};
  BatchIo batch{watcher};
  Log log;
  std::vector<SocketPair> pairs;
  std::vector<std::unique_ptr<FakePollable>> pollables;
  std::vector<Ready> group;
};

TEST_F(IoUringBatchIoTest, ThoseThatTakeWhatWasReceivedAreFirst) {
  pollables[1]->takes = false;
  group[3].events |= kWritable;
  batch.serve(group);
  EXPECT_EQ(log, (Log{"a received x", "c received x", "b ready to read", "d ready to read to write"}));
}

TEST_F(IoUringBatchIoTest, ANestedCallGoesOnWhereTheOuterOneIs) {
  pollables[1]->action = [&, once = false]() mutable {
    if (std::exchange(once, true)) return;
    EXPECT_TRUE(batch.has_undelivered());
    EXPECT_TRUE(batch.deliver());
    EXPECT_FALSE(batch.deliver());
    batch.serve(group);  // the batch is in use
    log.emplace_back("b returns");
  };
  batch.serve(group);
  EXPECT_EQ(log, (Log{"a received x", "b received x", "c received x", "d received x", "a ready to read",
                      "b ready to read", "c ready to read", "d ready to read", "b returns"}));
}

TEST_F(IoUringBatchIoTest, AnotherDriverDoesWithoutIt) {
  BatchIo other(watcher);
  ASSERT_FALSE(other.open("epoll"));
  other.serve(group);
  EXPECT_EQ(log, (Log{"a ready to read", "b ready to read", "c ready to read", "d ready to read"}));
}

TEST(BatchIo, AskedForServesEvenOneSo) {
  NoReadyHandler handler;
  Watcher watcher(handler, nullptr, false, "");
  BatchIo batch(watcher);
  const Error error = batch.open("io_uring");
  if (!has_io_uring()) {
    EXPECT_NE(error.text.find("io_uring"), std::string::npos);
    return;
  }
  ASSERT_FALSE(error) << error.text;
  Log log;
  const SocketPair pair = local_pair();
  FakePollable pollable(pair.near.get(), log, "a");
  pollable.takes = true;
  write_all(pair.far.get(), "x");
  batch.serve(std::vector<Ready>{{&pollable, kReadable}});
  EXPECT_EQ(log, (Log{"a received x"}));
}

}  // namespace
}  // namespace websockets
