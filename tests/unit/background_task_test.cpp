// SPDX-License-Identifier: MIT
#include "net/background_task.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <new>
#include <set>
#include <thread>

#include "failing_allocations.h"
#include "fake_task.h"
#include "forked.h"

namespace websockets {
namespace {

class BackgroundTaskTest : public testing::Test {
 protected:
  // What the tasks use of the test has to be there until the last one has ended.
  ~BackgroundTaskTest() override {
    gate->open();
    end->wait_for_arrivals(started_);
  }
  std::shared_ptr<BackgroundTask> start(std::function<void()> work) {
    auto task = std::make_shared<FakeTask>([work = std::move(work), end = end] {
      work();
      end->open();
      end->pass();
    });
    const Error error = run_in_background(task);
    EXPECT_FALSE(error) << error.text;
    ++started_;
    return task;
  }
  void fill_threads() {
    for (int i = 0; i < kMostThreads; ++i) start([gate = gate] { gate->pass(); });
    gate->wait_for_arrivals(kMostThreads);
  }

  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  std::shared_ptr<Gate> end = std::make_shared<Gate>();
  int started_ = 0;
};

TEST_F(BackgroundTaskTest, RunsInAThreadThatGetsNoSignals) {
  std::thread::id id;
  bool is_blocked = false;
  start([&] {
    id = std::this_thread::get_id();
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    is_blocked = ::sigismember(&blocked, SIGINT) == 1 && ::sigismember(&blocked, SIGUSR1) == 1;
  });
  end->wait_for_arrivals(1);
  EXPECT_NE(id, std::this_thread::get_id());
  EXPECT_TRUE(is_blocked);
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  EXPECT_EQ(::sigismember(&blocked, SIGINT), 0) << "those of the caller are what they were";
}

TEST_F(BackgroundTaskTest, ANinthIsRunByTheFirstOfEightThreadsThatIsFree) {
  auto mutex = std::make_shared<std::mutex>();
  auto ids = std::make_shared<std::set<std::thread::id>>();
  const auto note_thread = [mutex, ids] {
    const std::lock_guard lock(*mutex);
    ids->insert(std::this_thread::get_id());
  };
  for (int i = 0; i < kMostThreads; ++i) {
    start([gate = gate, note_thread] {
      note_thread();
      gate->pass();
    });
  }
  gate->wait_for_arrivals(kMostThreads);
  start([gate = gate, note_thread] {
    note_thread();
    gate->pass();
  });
  gate->open(1);
  gate->wait_for_arrivals(kMostThreads + 1);
  EXPECT_EQ(end->arrived(), 1);
  const std::lock_guard lock(*mutex);
  EXPECT_EQ(ids->size(), static_cast<std::size_t>(kMostThreads));
}

TEST_F(BackgroundTaskTest, OneThatWaitsCanBeWithdrawn) {
  fill_threads();
  std::weak_ptr<BackgroundTask> withdrawn;
  {
    const auto ninth = start([] { FAIL() << "it runs"; });
    --started_;
    withdrawn = ninth;
    EXPECT_TRUE(withdraw(*ninth));
    EXPECT_FALSE(withdraw(*ninth));
  }
  EXPECT_TRUE(withdrawn.expired());
}

TEST_F(BackgroundTaskTest, OneThatRunsGoesOnAndIsFreedByItsThread) {
  std::weak_ptr<BackgroundTask> running;
  {
    const auto task = start([gate = gate] { gate->pass(); });
    running = task;
    gate->wait_for_arrivals(1);
    EXPECT_FALSE(withdraw(*task));
  }
  EXPECT_FALSE(running.expired());
  gate->open();
  while (!running.expired()) std::this_thread::yield();
}

TEST_F(BackgroundTaskTest, AForkedProcessHasThreadsOfItsOwn) {
  fill_threads();
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      auto ran = std::make_shared<Gate>();
      if (run_in_background(std::make_shared<FakeTask>([ran] { ran->pass(); }))) return false;
      ran->wait_for_arrivals(1);
      return true;
    });
  }
  EXPECT_TRUE(has_succeeded(child));
}

TEST_F(BackgroundTaskTest, OneCanWaitForTheLast) {
  EXPECT_TRUE(wait_for_background_tasks(60'000)) << "those of other tests have come to their end";
  start([gate = gate] { gate->pass(); });
  gate->wait_for_arrivals(1);
  EXPECT_FALSE(wait_for_background_tasks(0));
  EXPECT_FALSE(wait_for_background_tasks(10));
  const pid_t child = ::fork();
  if (child == 0) run_in_child([] { return wait_for_background_tasks(0); });
  EXPECT_TRUE(has_succeeded(child)) << "it is the parent's";
  gate->open();
  EXPECT_TRUE(wait_for_background_tasks(60'000));
}

// Handlers that are registered later are called earlier: this one lets the task go on.
TEST_F(BackgroundTaskTest, ExitWaitsForOneThatDelaysIt) {
  static Gate go;
  struct Delaying final : BackgroundTask {
    explicit Delaying(int its_fd) : fd(its_fd) {}
    void run() noexcept override {
      go.pass();
      ::usleep(100'000);  // exit() is quicker, if it does not wait
      EXPECT_EQ(::write(fd, "x", 1), 1);
    }
    bool delays_exit() const override { return true; }
    int fd;
  };
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(run_in_background(std::make_shared<Delaying>(ends[1])));
    go.wait_for_arrivals(1);
    static_cast<void>(std::atexit([] { go.open(); }));
    std::exit(0);
  }
  ::close(ends[1]);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 1);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
}

TEST_F(BackgroundTaskTest, ExitComesToAnEndWhereATaskThatDelaysItDoesNot) {
  static Gate& never = *new Gate;  // its destructor would wait for the thread
  struct Stuck final : BackgroundTask {
    void run() noexcept override { never.pass(); }
    bool delays_exit() const override { return true; }
  };
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(run_in_background(std::make_shared<Stuck>()));
    never.wait_for_arrivals(1);
    std::exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));  // a sanitizer counts as leaked what the thread has still
}

// A thread that has ended its last task may be there still for a moment, and takes the next one: then once more.
TEST_F(BackgroundTaskTest, WithoutAThreadItIsAnError) {
  for (std::size_t failing = 1;;) {
    auto ran = std::make_shared<Gate>();
    ran->open();
    auto task = std::make_shared<FakeTask>([ran] { ran->pass(); });
    bool has_thrown = false;
    Error error;
    {
      const FailingAllocation failure(failing);
      try {
        error = run_in_background(task);
      } catch (const std::bad_alloc&) {
        has_thrown = true;
      }
      ASSERT_TRUE(failure.has_failed() || !error);
    }
    if (error) {
      EXPECT_EQ(error.code, EAGAIN);
      EXPECT_EQ(ran->arrived(), 0);
      EXPECT_EQ(task.use_count(), 1);
      return;
    }
    if (has_thrown) {
      EXPECT_EQ(task.use_count(), 1);
      ++failing;
    } else {
      ran->wait_for_arrivals(1);
      failing = 1;
    }
  }
}

}  // namespace
}  // namespace websockets
