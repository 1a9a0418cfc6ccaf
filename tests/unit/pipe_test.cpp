// SPDX-License-Identifier: MIT
#include "net/pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

namespace websockets {
namespace {

TEST(Pipe, LeadsFromOneEndToTheOther) {
  for (const bool is_blocking : {false, true}) {
    Pipe pipe;
    ASSERT_TRUE(pipe.open(is_blocking));
    char byte = 0;
    EXPECT_EQ(::write(pipe.writer.get(), "x", 1), 1);
    EXPECT_EQ(::read(pipe.reader.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
    for (const int end : {pipe.reader.get(), pipe.writer.get()}) {
      EXPECT_EQ(::fcntl(end, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
      EXPECT_EQ((::fcntl(end, F_GETFL) & O_NONBLOCK) == 0, is_blocking);
    }
  }
}

TEST(Pipe, CannotBeHad) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Pipe pipe;
  const bool is_open = pipe.open();
  const int error = errno;
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(is_open);
  EXPECT_EQ(error, EMFILE);
}

}  // namespace
}  // namespace websockets
