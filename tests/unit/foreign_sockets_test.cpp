// SPDX-License-Identifier: MIT
#include "net/foreign_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/unique_fd.h"

namespace websockets {
namespace {

struct Pair {
  UniqueFd first;
  UniqueFd second;
};

Pair make_pair(int type) {
  std::array<int, 2> pair{-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, type, 0, pair.data()), 0);
  return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

bool has(const std::vector<int>& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

TEST(ForeignSockets, AreConnectionsThatAreNotOurs) {
  const Pair pair = make_pair(SOCK_STREAM);
  const std::vector<int> own{pair.first.get()};
  const std::vector<int> found = foreign_sockets(own);
  EXPECT_FALSE(has(found, pair.first.get()));
  EXPECT_TRUE(has(found, pair.second.get()));
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
}

TEST(ForeignSockets, AreNoFilesPipesListenersAndDatagrams) {
  std::array<int, 2> pipe{-1, -1};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd writer(pipe[1]);
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const UniqueFd fresh(::socket(AF_INET, SOCK_STREAM, 0));
  const Pair datagrams = make_pair(SOCK_DGRAM);
  const std::vector<int> found = foreign_sockets({});
  for (const int fd :
       {reader.get(), writer.get(), listener.get(), fresh.get(), datagrams.first.get(), datagrams.second.get()}) {
    EXPECT_FALSE(has(found, fd));
  }
}

TEST(ForeignSockets, AreNotTheStandardStreams) {
  const Pair pair = make_pair(SOCK_STREAM);
  const UniqueFd saved(::dup(STDIN_FILENO));
  ASSERT_EQ(::dup2(pair.first.get(), STDIN_FILENO), STDIN_FILENO);
  EXPECT_FALSE(has(foreign_sockets({}), STDIN_FILENO));
  if (saved) {
    ::dup2(saved.get(), STDIN_FILENO);
  } else {
    ::close(STDIN_FILENO);
  }
}

}  // namespace
}  // namespace websockets
