// SPDX-License-Identifier: MIT
#include "cluster/fork_link.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "forked.h"

namespace websockets {
namespace {

using Status = ForkLink::Status;

constexpr std::size_t kCapacity = 4096;
constexpr std::uint64_t kLongMs = 600'000;  // nothing takes so long

std::unique_ptr<ForkLink> make_link(std::size_t capacity = kCapacity) {
  Result<std::unique_ptr<ForkLink>> link = ForkLink::create(capacity);
  return link ? std::move(*link) : nullptr;
}

std::string next(ForkLink& link) {
  std::uint32_t tag;
  std::span<const std::uint8_t> data;
  if (!link.receive(tag, data)) return "none";
  return std::to_string(tag) + ":" + std::string(as_text(data));
}

// Of the receiver: the next message, which it waits for.
std::optional<std::string> wait_for_next(ForkLink& link, std::uint32_t& tag) {
  std::span<const std::uint8_t> data;
  for (;;) {
    if (link.receive(tag, data)) return std::string(as_text(data));
    if (link.ended()) return std::nullopt;
    pollfd entry{link.fd(), POLLIN, 0};
    ::poll(&entry, 1, -1);
    link.drain();
  }
}

std::string message_of(std::size_t size, std::uint32_t tag) { return std::string(size, static_cast<char>('a' + tag)); }

// --- One process with both ends ---

TEST(ForkLink, TakesMessagesInOrderAndWhole) {
  const auto link = make_link();
  EXPECT_EQ(next(*link), "none");
  EXPECT_EQ(link->send(1, as_bytes("one"), 0), Status::kSent);
  EXPECT_EQ(link->send(2, as_bytes(""), 0), Status::kSent);
  EXPECT_EQ(link->send(3, as_bytes(std::string(1000, 'x')), 0), Status::kSent);
  EXPECT_EQ(next(*link), "1:one");
  EXPECT_EQ(next(*link), "2:");
  EXPECT_EQ(next(*link), "3:" + std::string(1000, 'x'));
  EXPECT_EQ(next(*link), "none");
}

// Each size of message gets to the end of the ring at another place.
TEST(ForkLink, GoesRoundWhateverTheSizes) {
  const auto link = make_link();
  std::uint32_t tag = 0;
  for (std::size_t size = 0; size < kCapacity; size = size * 3 / 2 + 1) {
    for (std::size_t sent = 0; sent < 200'000; sent += size + 16) {
      const std::string message(size, static_cast<char>('a' + tag % 26));
      ASSERT_EQ(link->send(tag, as_bytes(message), 0), Status::kSent);
      ASSERT_EQ(next(*link), std::to_string(tag) + ":" + message);
      ++tag;
    }
  }
}

TEST(ForkLink, HoldsAsMuchAsItHasRoomForAndThenIsBusy) {
  const auto link = make_link();
  const std::string message(1000, 'x');
  std::size_t sent = 0;
  while (link->send(7, as_bytes(message), 0) == Status::kSent) ++sent;
  EXPECT_GE(sent * message.size(), kCapacity);
  EXPECT_EQ(link->send(7, as_bytes(message), 1), Status::kBusy);
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(next(*link), "7:" + message);
  EXPECT_EQ(next(*link), "none");  // of those that it was too busy for
  EXPECT_EQ(link->send(8, as_bytes("again"), 0), Status::kSent);
  EXPECT_EQ(next(*link), "8:again");
}

TEST(ForkLink, ForgetsALargeMessageThatNobodyTakes) {
  const auto link = make_link();
  EXPECT_EQ(link->send(1, as_bytes(std::string(1'000'000, 'x')), 1), Status::kBusy);
  EXPECT_EQ(next(*link), "none");  // and is read up to where it was given up
  EXPECT_EQ(link->send(2, as_bytes("next"), 0), Status::kSent);
  EXPECT_EQ(next(*link), "2:next");
}

// --- Two processes ---

TEST(ForkLink, CarriesMuchMoreThanItHasRoomForToAnotherProcess) {
  const auto link = make_link();
  const std::vector<std::size_t> sizes{0, 1, 100, 60'000, 1'000'000, 3, 70'000, 5'000'000, 0, 12};
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      link->become_receiver();
      for (std::uint32_t i = 0; i < sizes.size(); ++i) {
        std::uint32_t tag = 0;
        const auto message = wait_for_next(*link, tag);
        if (!message || tag != i || *message != message_of(sizes[i], i)) return false;
      }
      std::uint32_t tag = 0;
      return !wait_for_next(*link, tag);
    });
  }
  ASSERT_GT(child, 0);
  link->become_sender();
  for (std::uint32_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(link->send(i, as_bytes(message_of(sizes[i], i)), kLongMs), Status::kSent);
  }
  EXPECT_TRUE(link->finish(kLongMs));
  EXPECT_TRUE(has_succeeded(child));
}

TEST(ForkLink, HasWhatWasSentBeforeTheSenderWasGone) {
  const auto link = make_link();
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      link->become_sender();
      return link->send(1, as_bytes("last words"), 0) == Status::kSent;
    });
  }
  ASSERT_GT(child, 0);
  link->become_receiver();
  EXPECT_TRUE(has_succeeded(child));
  std::uint32_t tag = 0;
  EXPECT_EQ(wait_for_next(*link, tag), "last words");
  EXPECT_EQ(wait_for_next(*link, tag), std::nullopt);
}

TEST(ForkLink, SaysThatTheReceiverIsGone) {
  const auto link = make_link();
  const pid_t child = ::fork();
  if (child == 0) run_in_child([] { return true; });
  ASSERT_GT(child, 0);
  link->become_sender();
  EXPECT_TRUE(has_succeeded(child));
  EXPECT_EQ(link->send(1, as_bytes("hello"), kLongMs), Status::kClosed);
  EXPECT_EQ(link->send(1, as_bytes(std::string(1'000'000, 'x')), kLongMs), Status::kClosed);
  EXPECT_TRUE(link->finish(kLongMs));
}

TEST(ForkLink, SaysThatTheReceiverDoesNotEnd) {
  const auto link = make_link();
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      link->become_receiver();
      std::uint32_t tag = 0;
      while (wait_for_next(*link, tag)) {
      }
      for (;;) ::pause();
      return false;
    });
  }
  ASSERT_GT(child, 0);
  link->become_sender();
  EXPECT_FALSE(link->finish(1));
  ::kill(child, SIGKILL);
  EXPECT_TRUE(link->finish(kLongMs));
  EXPECT_FALSE(has_succeeded(child));
}

}  // namespace
}  // namespace websockets
