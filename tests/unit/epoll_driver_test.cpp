// SPDX-License-Identifier: MIT
#include "net/drivers/epoll_driver.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "fake_pollable.h"
#include "socket_pairs.h"

namespace websockets {
namespace {

// What every driver does is in driver_test.cpp.
#ifdef WEBSOCKETS_HAVE_EPOLL

TEST(EpollDriver, IsItselfADescriptor) {
  EpollDriver driver;
  ASSERT_TRUE(driver.valid());
  const SocketPair pair = local_pair();
  std::vector<std::string> log;
  FakePollable pollable(pair.near.get(), log);
  ASSERT_TRUE(driver.add(pollable, kReadable));
  EXPECT_FALSE(is_readable(driver.fd()));
  write_all(pair.far.get(), "x");
  EXPECT_TRUE(is_readable(driver.fd()));
  driver.remove(pollable);
  EXPECT_FALSE(is_readable(driver.fd()));
}

TEST(EpollDriver, SaysWhyItCannotWatch) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  std::vector<std::string> log;
  FakePollable pollable(::fileno(file.get()), log);
  EXPECT_FALSE(EpollDriver().add(pollable, kReadable));
  EXPECT_EQ(errno, EPERM);
}

#endif

}  // namespace
}  // namespace websockets
