// SPDX-License-Identifier: MIT
#include "loop/background_tasks.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "failing_allocations.h"
#include "fake_pollable.h"
#include "fake_task.h"
#include "forked.h"
#include "loop_fixture.h"

namespace websockets {
namespace {

class BackgroundTasksTest : public LoopFixture {
 protected:
  BackgroundTasksTest() { reopen({}); }
  ~BackgroundTasksTest() override { gate->open(); }
  void reopen(const LoopOptions& options) {
    tasks.reset();
    open(options);
    tasks.emplace(loop());
  }
  // Its `done` is called with "done name" in the log.
  std::shared_ptr<FakeTask> make(const std::string& name, bool hangs = false) {
    return std::make_shared<FakeTask>(
        [hangs, gate = gate] {
          if (hangs) gate->pass();
        },
        [this, name](bool has_run) {
          EXPECT_TRUE(loop().in_round());
          log.push_back((has_run ? "done " : "lost ") + name);
        });
  }
  void serve_until_told(std::size_t count) {
    while (log.size() < count) loop().service(-1);
  }

  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  FakeObserver observer;
  std::optional<BackgroundTasks> tasks;
};

TEST_F(BackgroundTasksTest, HasADescriptorFromTheFirstTaskOn) {
  EXPECT_EQ(tasks->fd(), -1);
  EXPECT_FALSE(tasks->has_pending());
  ASSERT_FALSE(tasks->start(make("a")));
  EXPECT_GE(tasks->fd(), 0);
  EXPECT_TRUE(tasks->has_pending());
}

TEST_F(BackgroundTasksTest, TellsInARoundThatATaskIsDone) {
  ASSERT_FALSE(tasks->start(make("a")));
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done a"}));
  EXPECT_FALSE(tasks->has_pending());
  ASSERT_FALSE(tasks->start(make("b")));
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done b"}));
}

TEST_F(BackgroundTasksTest, OneThatHangsKeepsNobodyWaiting) {
  ASSERT_FALSE(tasks->start(make("a", true)));
  ASSERT_FALSE(tasks->start(make("b")));
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done b"}));
  gate->open();
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done a"}));
}

TEST_F(BackgroundTasksTest, WhatIsCancelledIsForgotten) {
  const auto task = make("a", true);
  ASSERT_FALSE(tasks->start(task));
  gate->wait_for_arrivals(1);
  tasks->cancel(*task);
  gate->open();
  while (tasks->has_pending()) loop().service(-1);
  EXPECT_EQ(take_log(), Log{});
  while (task.use_count() > 1) std::this_thread::yield();
}

TEST_F(BackgroundTasksTest, WhatIsCancelledBeforeItRunsIsFreedAtOnce) {
  for (int i = 0; i < kMostThreads; ++i) ASSERT_FALSE(tasks->start(make("a", true)));
  gate->wait_for_arrivals(kMostThreads);
  const auto task = make("ninth");
  ASSERT_FALSE(tasks->start(task));
  tasks->cancel(*task);
  EXPECT_EQ(task.use_count(), 1);
  tasks->cancel(*task);
  gate->open();
  while (tasks->has_pending()) loop().service(-1);
  EXPECT_EQ(take_log().size(), static_cast<std::size_t>(kMostThreads));
}

TEST_F(BackgroundTasksTest, OneThatIsToldMayCancelTheNext) {
  std::vector<std::shared_ptr<FakeTask>> both;
  auto ended = std::make_shared<Gate>();
  for (int i = 0; i < 2; ++i) {
    both.push_back(std::make_shared<FakeTask>(
        [ended] {
          ended->open();
          ended->pass();
        },
        [&, i](bool) {
          log.emplace_back("done");
          tasks->cancel(*both[1 - static_cast<std::size_t>(i)]);
        }));
    ASSERT_FALSE(tasks->start(both.back()));
  }
  ended->wait_for_arrivals(2);
  while (tasks->has_pending()) loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"done"}));
}

TEST_F(BackgroundTasksTest, AThreadMayOutliveThem) {
  const auto task = make("a", true);
  ASSERT_FALSE(tasks->start(task));
  gate->wait_for_arrivals(1);
  tasks.reset();
  gate->open();
  while (task.use_count() > 1) std::this_thread::yield();
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(BackgroundTasksTest, TheOthersAreToldAfterOneForWhichMemoryWasShort) {
  auto ended = std::make_shared<Gate>();
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(tasks->start(std::make_shared<FakeTask>([ended] { ended->pass(); },
                                                         [&](bool) {
                                                           log.emplace_back("done");
                                                           throw std::bad_alloc();
                                                         })));
  }
  ended->wait_for_arrivals(3);
  ended->open();
  int thrown = 0;
  while (tasks->has_pending()) {
    try {
      loop().service(-1);
    } catch (const std::bad_alloc&) {
      ++thrown;
    }
  }
  EXPECT_EQ(thrown, 3);
  EXPECT_EQ(log.size(), 3U);
}

TEST_F(BackgroundTasksTest, AnOuterLoopThatKnowsEachDescriptorIsToldOfNone) {
  LoopOptions options;
  options.observer = &observer;
  reopen(options);
  const int own_fd = std::stoi(observer.take_events()[0].substr(1));
  ASSERT_FALSE(tasks->start(make("a")));
  pollfd poll{own_fd, POLLIN, 0};
  ASSERT_EQ(::poll(&poll, 1, -1), 1);
  {
    const Loop::Round round(loop());
    loop().service_descriptor(own_fd);
  }
  EXPECT_EQ(take_log(), (Log{"done a"}));
  EXPECT_FALSE(is_readable(own_fd));
  ASSERT_FALSE(tasks->start(make("b")));
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done b"})) << "by a loop beside it";
  EXPECT_EQ(observer.take_events(), Log{});
}

TEST_F(BackgroundTasksTest, AnOuterLoopThatKnowsOneDescriptorIsWoken) {
  LoopOptions options;
  options.observer = &observer;
  options.announces_one = true;
  reopen(options);
  const int own_fd = *loop().poll_descriptor();
  ASSERT_FALSE(tasks->start(make("a")));
  pollfd poll{own_fd, POLLIN, 0};
  ASSERT_EQ(::poll(&poll, 1, -1), 1);
  {
    const Loop::Round round(loop());
    loop().service_descriptor(own_fd);
  }
  EXPECT_EQ(take_log(), (Log{"done a"}));
}

// Its parent's thread goes on there.
TEST_F(BackgroundTasksTest, InAForkedProcessWhatWasNotDoneIsLost) {
  ASSERT_FALSE(tasks->start(make("a", true)));
  gate->wait_for_arrivals(1);
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      loop().abandon();
      if (tasks->start(make("b"))) return false;
      serve_until_told(2);
      return (log == Log{"lost a", "done b"} || log == Log{"done b", "lost a"}) && !tasks->has_pending();
    });
  }
  EXPECT_TRUE(has_succeeded(child));
  gate->open();
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done a"}));
}

TEST_F(BackgroundTasksTest, AForkedProcessTakesNoWordFromItsParentsThreads) {
  ASSERT_FALSE(tasks->start(make("a")));
  pollfd poll{tasks->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&poll, 1, -1), 1);
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      loop().abandon();
      serve_until_told(1);
      return log == Log{"done a"} && !tasks->has_pending();
    });
  }
  EXPECT_TRUE(has_succeeded(child));
  serve_until_told(1);
  EXPECT_EQ(take_log(), (Log{"done a"}));
}

TEST_F(BackgroundTasksTest, WithoutMemoryNothingIsStarted) {
  for (std::size_t failing = 1;; ++failing) {
    const auto task = make("a");
    bool has_started = false;
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      try {
        has_started = !tasks->start(task);
      } catch (const std::bad_alloc&) {
      }
      has_failed = failure.has_failed();
    }
    if (has_started) {
      serve_until_told(1);
      EXPECT_EQ(take_log(), (Log{"done a"}));
    } else {
      EXPECT_EQ(task.use_count(), 1);
    }
    EXPECT_FALSE(tasks->has_pending());
    if (!has_failed) return;
  }
}

}  // namespace
}  // namespace websockets
