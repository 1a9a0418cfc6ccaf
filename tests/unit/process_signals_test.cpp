// SPDX-License-Identifier: MIT
#include "cluster/process_signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "forked.h"
#include "loop_fixture.h"

namespace websockets {
namespace {

class ProcessSignalsTest : public LoopFixture, protected ProcessSignalsHandler {
 protected:
  ProcessSignals signals{loop(), static_cast<ProcessSignalsHandler&>(*this)};

 private:
  void on_signal(int number, int count) override {
    log.push_back(std::to_string(number) + " x " + std::to_string(count));
  }
};

TEST_F(ProcessSignalsTest, TellsWhatComesInARound) {
  ASSERT_FALSE(signals.open({SIGHUP, SIGUSR2}));
  std::raise(SIGHUP);
  std::raise(SIGUSR2);
  std::raise(SIGHUP);
  EXPECT_TRUE(log.empty());
  loop().service(-1);
  EXPECT_EQ(log, (Log{std::to_string(SIGHUP) + " x 2", std::to_string(SIGUSR2) + " x 1"}));
  std::raise(SIGUSR2);
  loop().service(-1);
  EXPECT_EQ(log.size(), 3U);
}

TEST_F(ProcessSignalsTest, IgnoresOthersInAWayThatProgramsDoNotInherit) {
  ASSERT_FALSE(signals.open({SIGTERM}, {SIGUSR2}));
  std::raise(SIGUSR2);
  struct sigaction action {};
  ::sigaction(SIGUSR2, nullptr, &action);
  EXPECT_NE(action.sa_handler, SIG_IGN);
  settle();
  EXPECT_TRUE(log.empty());
}

TEST_F(ProcessSignalsTest, RestoresWhatWasThereBefore) {
  const auto before = std::signal(SIGUSR2, SIG_IGN);
  ASSERT_FALSE(signals.open({SIGHUP}, {SIGUSR2}));
  signals.close();
  struct sigaction action {};
  ::sigaction(SIGUSR2, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
  ::sigaction(SIGHUP, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
  static_cast<void>(std::signal(SIGUSR2, before));
}

TEST_F(ProcessSignalsTest, IsOpenOnceInAProcess) {
  ASSERT_FALSE(signals.open({SIGHUP}));
  ProcessSignals others{loop(), static_cast<ProcessSignalsHandler&>(*this)};
  EXPECT_TRUE(others.open({SIGHUP}));
  signals.close();
  EXPECT_FALSE(others.open({SIGHUP}));
}

TEST_F(ProcessSignalsTest, TheThirdStopHasItsDefaultEffect) {
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      if (signals.open({SIGINT, SIGTERM})) return false;
      std::raise(SIGTERM);
      std::raise(SIGINT);
      std::raise(SIGTERM);
      return true;
    });
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST_F(ProcessSignalsTest, NoSignalComesWhileTheyAreBlocked) {
  ASSERT_FALSE(signals.open({SIGHUP}));
  ProcessSignals::Blocked blocked;
  ::kill(::getpid(), SIGHUP);
  settle();
  EXPECT_TRUE(log.empty());
  blocked.end();
  settle();
  EXPECT_EQ(log.size(), 1U);
}

TEST_F(ProcessSignalsTest, AProcessThatHangsEndsAfterItsParent) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    run_in_child([&] {
      std::array<int, 2> begun{};
      if (::pipe(begun.data()) != 0) return false;
      const pid_t self = ::getpid();
      if (::fork() == 0) {
        run_in_child([&] {
          if (signals.open({SIGTERM}) || !ProcessSignals::end_with_parent(self)) return false;
          if (::write(begun[1], "", 1) != 1) return false;
          for (;;) ::pause();
        });
      }
      char byte;
      return ::read(begun[0], &byte, 1) == 1;
    });
  }
  EXPECT_TRUE(has_succeeded(parent));
  ::close(pipe[1]);
#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
  char byte;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 0) << "nobody has the other end";
#endif
  ::close(pipe[0]);
}

}  // namespace
}  // namespace websockets
