// SPDX-License-Identifier: MIT
#include "net/socket_flags.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "socket_pairs.h"

namespace websockets {
namespace {

#ifdef MSG_NOSIGNAL
TEST(SocketFlags, APeerThatIsGoneIsAnErrorAndNoSignal) {
  SocketPair pair = local_pair();
  pair.far.reset();
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(::send(pair.near.get(), "x", 1, kNoSignal), -1);
  EXPECT_EQ(errno, EPIPE);
  std::signal(SIGPIPE, before);
}
#endif

}  // namespace
}  // namespace websockets
