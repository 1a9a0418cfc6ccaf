// SPDX-License-Identifier: MIT
#include "cluster/handover_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

namespace websockets {
namespace {

using Status = HandoverSocket::Status;

struct Pair {
  HandoverSocket first;
  HandoverSocket second;
};

Pair make_pair() {
  std::array<int, 2> pair{-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  for (const int fd : pair) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return {HandoverSocket(UniqueFd(pair[0])), HandoverSocket(UniqueFd(pair[1]))};
}

UniqueFd open_file() { return UniqueFd(::open("/dev/null", O_RDONLY)); }

bool is_same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_ino == second.st_ino;
}

TEST(HandoverSocket, CarriesMessagesInOrder) {
  Pair pair = make_pair();
  EXPECT_EQ(pair.first.send(HandoverKind::kListeners, "a"), Status::kDone);
  EXPECT_EQ(pair.first.send(HandoverKind::kEnd, ""), Status::kDone);
  HandoverMessage message;
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  EXPECT_EQ(message.kind, HandoverKind::kListeners);
  EXPECT_EQ(message.text, "a");
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  EXPECT_EQ(message.kind, HandoverKind::kEnd);
  EXPECT_EQ(message.text, "");
  EXPECT_EQ(pair.second.receive(message), Status::kWouldBlock);
  EXPECT_EQ(pair.second.send(HandoverKind::kReady, "12"), Status::kDone);
  ASSERT_EQ(pair.first.receive(message), Status::kDone);
  EXPECT_EQ(message.text, "12");
}

TEST(HandoverSocket, CarriesDescriptorsWithTheirMessage) {
  Pair pair = make_pair();
  const UniqueFd file = open_file();
  const std::vector<int> one{file.get()};
  const std::vector<int> many(HandoverSocket::kMostDescriptors, file.get());
  EXPECT_EQ(pair.first.send(HandoverKind::kListeners, "none"), Status::kDone);
  EXPECT_EQ(pair.first.send(HandoverKind::kListenersAndFile, "one", one), Status::kDone);
  EXPECT_EQ(pair.first.send(HandoverKind::kListeners, "many", many), Status::kDone);
  HandoverMessage message;
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  EXPECT_TRUE(message.descriptors.empty());
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  ASSERT_EQ(message.descriptors.size(), 1U);
  EXPECT_NE(message.descriptors[0].get(), file.get());
  EXPECT_TRUE(is_same_file(message.descriptors[0].get(), file.get()));
  EXPECT_NE(::fcntl(message.descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  EXPECT_EQ(message.text, "many");
  EXPECT_EQ(message.descriptors.size(), many.size());
}

TEST(HandoverSocket, GoesOnWhereItWasFull) {
  Pair pair = make_pair();
  const std::string text(3000, 'x');
  int sent = 0;
  while (pair.first.send(HandoverKind::kFailed, text + std::to_string(sent)) == Status::kDone) ++sent;
  ASSERT_GT(sent, 0);
  HandoverMessage message;
  for (int i = 0; i < sent; ++i) {
    while (pair.second.receive(message) != Status::kDone) ASSERT_NE(pair.first.flush(), Status::kClosed);
    ASSERT_EQ(message.text, text + std::to_string(i));
  }
  EXPECT_EQ(pair.first.send(HandoverKind::kEnd, ""), Status::kDone);
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  EXPECT_EQ(message.kind, HandoverKind::kEnd);
}

TEST(HandoverSocket, CutsATextThatIsTooLong) {
  Pair pair = make_pair();
  EXPECT_EQ(pair.first.send(HandoverKind::kFailed, std::string(100'000, 'x')), Status::kDone);
  HandoverMessage message;
  ASSERT_EQ(pair.second.receive(message), Status::kDone);
  EXPECT_EQ(message.text, std::string(HandoverSocket::kMostTextBytes, 'x'));
}

TEST(HandoverSocket, NoticesThatTheOtherEndIsGone) {
  Pair pair = make_pair();
  EXPECT_EQ(pair.second.send(HandoverKind::kFailed, "why"), Status::kDone);
  pair.second.close();
  HandoverMessage message;
  ASSERT_EQ(pair.first.receive(message), Status::kDone);
  EXPECT_EQ(message.text, "why");
  EXPECT_EQ(pair.first.receive(message), Status::kClosed);
  EXPECT_EQ(pair.first.send(HandoverKind::kEnd, ""), Status::kClosed);
}

TEST(HandoverSocket, TakesNoOtherLanguage) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100, '\0'), std::string("\1\1\377\377\0\0\0\0", 8),
        std::string("\1\1\0\0\377\377\377\377", 8), std::string("\1\1\1\0\0\0\0\0", 8)}) {
    Pair pair = make_pair();
    ASSERT_EQ(::write(pair.first.fd(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    HandoverMessage message;
    EXPECT_EQ(pair.second.receive(message), Status::kClosed);
    EXPECT_EQ(pair.second.receive(message), Status::kClosed);
  }
}

}  // namespace
}  // namespace websockets
