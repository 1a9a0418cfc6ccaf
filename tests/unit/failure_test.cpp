// SPDX-License-Identifier: MIT
#include "dial/failure.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "failing_allocations.h"

namespace websockets {
namespace {

TEST(FailureTest, KindsAndPhasesHaveNames) {
  EXPECT_EQ(name_of(FailureKind::kNone), "");
  EXPECT_EQ(name_of(FailureKind::kDns), "dns");
  EXPECT_EQ(name_of(FailureKind::kHandshake), "handshake");
  EXPECT_EQ(name_of(FailureKind::kCancelled), "cancelled");
  EXPECT_EQ(name_of(FailurePhase::kNone), "");
  EXPECT_EQ(name_of(FailurePhase::kTcp), "tcp");
  EXPECT_EQ(name_of(FailurePhase::kOpen), "open");
}

TEST(FailureTest, OfASocketSaysWhatTheSystemSaid) {
  const Failure refused = socket_failure(FailurePhase::kTcp, "127.0.0.1:1", ECONNREFUSED);
  EXPECT_TRUE(refused);
  EXPECT_EQ(refused.kind, FailureKind::kRefused);
  EXPECT_EQ(refused.phase, FailurePhase::kTcp);
  EXPECT_EQ(refused.message, "127.0.0.1:1: Connection refused");
  EXPECT_EQ(refused.code, ECONNREFUSED);
  EXPECT_EQ(socket_failure(FailurePhase::kTcp, "", ENOENT).kind, FailureKind::kRefused);
  EXPECT_EQ(socket_failure(FailurePhase::kTcp, "", ETIMEDOUT).kind, FailureKind::kTimeout);
  EXPECT_EQ(socket_failure(FailurePhase::kTcp, "", ENETUNREACH).kind, FailureKind::kUnreachable);
  EXPECT_EQ(socket_failure(FailurePhase::kOpen, "", ECONNRESET).kind, FailureKind::kLost);
  EXPECT_FALSE(Failure());
}

TEST(Failure, ShortMemoryNeedsNone) {
  const FailingAllocation failing(1);
  const Failure failure = failure_without_memory(FailurePhase::kTls);
  EXPECT_FALSE(failing.has_failed());
  EXPECT_EQ(failure.kind, FailureKind::kLost);
  EXPECT_EQ(failure.phase, FailurePhase::kTls);
  EXPECT_EQ(failure.code, ENOMEM);
  EXPECT_EQ(failure.message, "out of memory");
}

}  // namespace
}  // namespace websockets
