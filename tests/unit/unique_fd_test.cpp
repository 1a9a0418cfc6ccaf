// SPDX-License-Identifier: MIT
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace websockets {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
int open_one() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

TEST(UniqueFd, ClosesItsDescriptorOnce) {
  const int fd = open_one();
  {
    UniqueFd first(fd);
    UniqueFd second(std::move(first));
    EXPECT_EQ(first.get(), -1);
    EXPECT_FALSE(first);
    EXPECT_TRUE(second);
    UniqueFd third;
    third = std::move(second);
    EXPECT_EQ(third.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, ClosesWhatItHadWhenItGetsAnother) {
  const int before = open_one();
  const int after = open_one();
  UniqueFd fd(before);
  fd.reset(after);
  EXPECT_FALSE(is_open(before));
  EXPECT_TRUE(is_open(after));
  fd = UniqueFd();
  EXPECT_FALSE(is_open(after));
}

TEST(UniqueFd, GivesItsDescriptorAway) {
  UniqueFd fd(open_one());
  const int released = fd.release();
  EXPECT_FALSE(fd);
  fd.reset();
  EXPECT_TRUE(is_open(released));
  ::close(released);
}

}  // namespace
}  // namespace websockets
