// SPDX-License-Identifier: MIT
#include "net/socket_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class SocketFileTest : public testing::Test {
 protected:
  SocketFile bind() const {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    const SocketAddress address = *unix_address(path_);
    EXPECT_EQ(::bind(socket.get(), address.get(), address.size), 0);
    return SocketFile(address);
  }
  bool is_there() const { return std::filesystem::exists(path_); }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/socket";
};

TEST_F(SocketFileTest, IsRemovedWithTheLastOneThatHasIt) {
  {
    SocketFile first = bind();
    SocketFile second(std::move(first));
    first.remove();
    EXPECT_TRUE(is_there());
    SocketFile third;
    third = std::move(second);
    EXPECT_TRUE(is_there());
  }
  EXPECT_FALSE(is_there());
}

TEST_F(SocketFileTest, StaysWhenAnotherProcessHasIt) {
  { bind().leave(); }
  EXPECT_TRUE(is_there());
}

TEST_F(SocketFileTest, IsRemovedByTheProcessThatHasItNow) {
  SocketFile file = bind();
  file.leave();
  SocketFile moved(std::move(file));
  EXPECT_TRUE(moved.exists());
  moved.own();
  moved.remove();
  EXPECT_FALSE(is_there());
  EXPECT_FALSE(moved.exists());
}

TEST_F(SocketFileTest, OneThatSomebodyElseHasPutThereStays) {
  {
    const SocketFile file = bind();
    const std::string other = path_ + ".other";
    std::fclose(std::fopen(other.c_str(), "w"));
    std::filesystem::rename(other, path_);
  }
  EXPECT_TRUE(is_there());
}

}  // namespace
}  // namespace websockets
