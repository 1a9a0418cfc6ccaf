// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "temporary_folder.h"

namespace websockets {
namespace {

UniqueFd listener_on(const char* where) {
  Result<std::vector<Listener>> listeners = listen_at(where, {});
  EXPECT_TRUE(listeners) << listeners.error().text;
  return listeners ? std::move(listeners->front().fd) : UniqueFd();
}

UniqueFd connected_to(const UniqueFd& listener) {
  SocketAddress address = local_address(listener.get());
  UniqueFd client(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), address.get(), address.size), 0);
  return client;
}

TEST(Listener, AcceptsSocketsThatNeitherBlockNorWaitNorAreInherited) {
  const UniqueFd listener = listener_on("127.0.0.1:0");
  const UniqueFd client = connected_to(listener);
  const Accepted accepted = accept_from(listener.get());
  ASSERT_EQ(accepted.status, AcceptStatus::kAccepted);
  EXPECT_NE(::fcntl(accepted.fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(accepted.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  ASSERT_EQ(::getsockopt(accepted.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
  EXPECT_EQ(PeerAddress(accepted.peer).text(), "127.0.0.1");
}

TEST(Listener, SaysThatNobodyIsWaiting) {
  const UniqueFd listener = listener_on("127.0.0.1:0");
  EXPECT_EQ(accept_from(listener.get()).status, AcceptStatus::kNone);
}

TEST(Listener, TellsItsAddress) {
  const SocketAddress address = local_address(listener_on("127.0.0.1:0").get());
  EXPECT_NE(address.port(), 0);
  EXPECT_EQ(address.text(), "127.0.0.1:" + std::to_string(address.port()));
}

TEST(Listener, SaysWhereAndWhyNot) {
  const UniqueFd first = listener_on("127.0.0.1:0");
  Result<Listener> second = listen_on(local_address(first.get()), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_NE(second.error().text.find(local_address(first.get()).text()), std::string::npos);
}

// Has one listener for each of its names.
class FakeSource final : public ListenerSource {
 public:
  std::vector<Listener> take(const std::string& name) override {
    asked.push_back(name);
    std::vector<Listener> taken;
    for (Listener& listener : listeners) {
      if (listener.name == name) taken.push_back(std::move(listener));
    }
    return taken;
  }

  std::vector<Listener> listeners;
  std::vector<std::string> asked;
};

std::string name_at(const std::string& where) {
  Result<std::vector<Listener>> listeners = listen_at(where, {});
  return listeners ? listeners->front().name : listeners.error().text;
}

TEST(Listener, HasTheNameThatAsksForTheSameAgain) {
  Result<std::vector<Listener>> listeners = listen_at("127.0.0.1:0", {});
  ASSERT_TRUE(listeners);
  EXPECT_EQ(listeners->front().name, local_address(listeners->front().fd.get()).text());
  const TemporaryFolder folder;
  EXPECT_EQ(name_at("unix:" + folder.path() + "/socket"), "unix:" + folder.path() + "/socket");
  const int number = ::dup(listeners->front().fd.get());
  EXPECT_EQ(name_at("fd:" + std::to_string(number)), "fd:" + std::to_string(number));
}

TEST(Listener, OnAllAddressesIsNotThatOfOneFamily) {
  const std::string name = name_at(":0");
  EXPECT_TRUE(name.starts_with("*:") || name.starts_with("0.0.0.0:")) << name;
}

TEST(Listener, AllOfItsNameAreTakenFromTheSource) {
  FakeSource source;
  source.listeners = std::move(*listen_at("127.0.0.1:0", {}));
  const int first = source.listeners.front().fd.get();
  const std::string where = source.listeners.front().name;
  const int second = ::dup(first);
  source.listeners.push_back({UniqueFd(second), {}, where});
  ListenOptions options;
  options.source = &source;
  Result<std::vector<Listener>> taken = listen_at(where, options);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->size(), 2U);
  EXPECT_EQ((*taken)[0].fd.get(), first);
  EXPECT_EQ((*taken)[1].fd.get(), second);
}

TEST(Listener, IsOpenedWhereTheSourceHasNone) {
  FakeSource source;
  ListenOptions options;
  options.source = &source;
  const TemporaryFolder folder;
  const std::string where = "unix:" + folder.path() + "/socket";
  EXPECT_TRUE(listen_at(where, options));
  EXPECT_EQ(source.asked, std::vector<std::string>{where});
}

TEST(Listener, TheSourceIsAskedForNumbersThatMeanAnotherDescriptorNow) {
  FakeSource source;
  source.listeners = std::move(*listen_at("127.0.0.1:0", {}));
  source.listeners.front().name = "fd:0";
  ListenOptions options;
  options.source = &source;
  EXPECT_TRUE(listen_at("fd:0", options));
}

}  // namespace
}  // namespace websockets
