// SPDX-License-Identifier: MIT
#include "cluster/service_notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

// A service manager that waits at this address, whose size is that of `name`.
UniqueFd manager_at(const std::string& name) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  return fd;
}

std::string received(int fd) {
  std::array<char, 1000> text{};
  const ssize_t count = ::recv(fd, text.data(), text.size(), MSG_DONTWAIT);
  return {text.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
}

class ServiceNotify : public testing::Test {
 protected:
  ~ServiceNotify() override { ::unsetenv("NOTIFY_SOCKET"); }
};

TEST_F(ServiceNotify, IsSilentWhereNobodyAsksForIt) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_service(kServiceReady));
}

TEST_F(ServiceNotify, IsSilentWhereNobodyListens) {
  ::setenv("NOTIFY_SOCKET", "/does/not/exist", 1);
  EXPECT_FALSE(notify_service(kServiceReady));
}

TEST_F(ServiceNotify, TakesNoOtherKindOfAddress) {
  for (const std::string& name : {std::string(), std::string("/"), std::string("@"), std::string("relative"),
                                  std::string("vsock:2:1234"), "/" + std::string(200, 'a')}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_FALSE(notify_service(kServiceReady)) << name;
  }
}

TEST_F(ServiceNotify, SendsToAPath) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/socket";
  const UniqueFd manager = manager_at(path);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  EXPECT_TRUE(notify_service(service_main_process(12) + kServiceReady));
  EXPECT_EQ(received(manager.get()), "MAINPID=12\nREADY=1\n");
  EXPECT_STREQ(::getenv("NOTIFY_SOCKET"), path.c_str());
}

#ifdef __linux__
TEST_F(ServiceNotify, SendsToAnAbstractName) {
  const std::string name = "websockets-service-notify-" + std::to_string(::getpid());
  const UniqueFd manager = manager_at(std::string(1, '\0') + name);
  ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  EXPECT_TRUE(notify_service(kServiceStopping));
  EXPECT_EQ(received(manager.get()), "STOPPING=1\n");
}
#endif

TEST_F(ServiceNotify, TellsSinceWhenItReloads) {
  const std::string before = "RELOADING=1\nMONOTONIC_USEC=";
  const std::uint64_t earliest = monotonic_us();
  const std::string state = service_reloading();
  ASSERT_TRUE(state.starts_with(before));
  EXPECT_TRUE(state.ends_with("\n"));
  EXPECT_GE(std::stoull(state.substr(before.size())), earliest);
  EXPECT_LE(std::stoull(state.substr(before.size())), monotonic_us());
}

TEST_F(ServiceNotify, TellsAStatusOfOneLine) {
  EXPECT_EQ(service_status("4 workers"), "STATUS=4 workers\n");
  EXPECT_EQ(service_status("failed\nREADY=1"), "STATUS=failed\n");
}

}  // namespace
}  // namespace websockets
