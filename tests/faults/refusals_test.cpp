// SPDX-License-Identifier: MIT
// A system call that fails each time, with whatever error: a policy of the system may have it so. Nothing is tried
// without end, and everything is cleaned up.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>

#include "scenarios.h"

namespace websockets::faults {
namespace {

constexpr int kLastError = EHWPOISON;
// A scenario serves some 30 rounds, and has three clients. What is not endless is far less.
constexpr long kMostCalls = 3000;

struct Refused {
  const char* call;
  const Scenario* scenario;
};

class RefusalsTest : public testing::TestWithParam<Refused> {};

TEST_P(RefusalsTest, AreNoReasonToTryWithoutEnd) {
  long most = 0;
  for (int error = 1; error <= kLastError; ++error) {
    SCOPED_TRACE("error " + std::to_string(error));
    injector.refuse(GetParam().call, error);
    const Result result = Play::run(*GetParam().scenario);
    const long count = injector.stop_refusing();
    most = std::max(most, count);
    ASSERT_LT(count, kMostCalls);
    ASSERT_EQ(result.left, "");
  }
  // A ring that was refused once is not used any more, and an earlier test may have seen to that.
  EXPECT_TRUE(most > 0 || GetParam().scenario == &kByIoUring);
}

INSTANTIATE_TEST_SUITE_P(
    , RefusalsTest,
    testing::Values(Refused{"recv", &kMessages}, Refused{"send", &kMessages}, Refused{"sendmsg", &kMessages},
                    Refused{"accept4", &kMessages}, Refused{"epoll_wait", &kMessages}, Refused{"epoll_ctl", &kMessages},
                    Refused{"poll", &kByPoll}, Refused{"io_uring_enter", &kByIoUring},
                    Refused{"timerfd_settime", &kOuterLoop}, Refused{"recv", &kTls}, Refused{"send", &kTls},
                    Refused{"sendfile", &kFiles}, Refused{"poll", &kForkEnds}, Refused{"waitpid", &kForkEnds}),
    [](const auto& info) { return std::string(info.param.scenario->name) + "_" + info.param.call; });

TEST(Refusals, OfSendfileLetFilesBeReadInstead) {
  for (int error = 1; error <= kLastError; ++error) {
    if (error == EAGAIN || error == EINTR) continue;
    SCOPED_TRACE("error " + std::to_string(error));
    injector.refuse("sendfile", error);
    const Result result = Play::run(kFiles);
    EXPECT_GT(injector.stop_refusing(), 0);
    ASSERT_TRUE(result.lacking.empty());
  }
}

TEST(Refusals, AreFollowedByAPauseWhereSomethingIsWaitedFor) {
  for (const int error : {EPERM, EINVAL}) {
    injector.refuse("epoll_wait", error);
    const auto begin = std::chrono::steady_clock::now();
    static_cast<void>(Play::run(kWaits));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(60)) << error;
    EXPECT_LT(injector.stop_refusing(), kMostCalls) << error;
  }
}

}  // namespace
}  // namespace websockets::faults
