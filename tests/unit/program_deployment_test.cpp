// SPDX-License-Identifier: MIT
#include "cluster/program_deployment.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "context_fixture.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class ProgramDeploymentTest : public ContextFixture, public DeploymentOwner {
 protected:
  ProgramDeploymentTest() {
    const std::string path = folder_.path() + "/manager";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(manager_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ProgramDeploymentTest() override { ::unsetenv("NOTIFY_SOCKET"); }

  void on_new_version_ready() override { ends_.emplace_back("ready"); }
  void on_new_version_failed(const std::string& why) override { ends_.push_back(why); }

  // The next state that the service manager was told of; "": none.
  std::string told() const {
    std::array<char, 200> text{};
    const ssize_t count = ::recv(manager_.get(), text.data(), text.size(), MSG_DONTWAIT);
    return {text.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
  }

  TemporaryFolder folder_;
  UniqueFd manager_{::socket(AF_UNIX, SOCK_DGRAM, 0)};
  std::vector<std::string> ends_;
};

TEST_F(ProgramDeploymentTest, TellsTheServiceManager) {
  ProgramDeployment deployment({});
  deployment.on_ready();
  EXPECT_EQ(told(), "READY=1\n");
  deployment.on_reloading();
  EXPECT_TRUE(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  deployment.on_stopping();
  EXPECT_EQ(told(), "STOPPING=1\n");
  deployment.fail("there is no database");
  deployment.leave();
  announce_ready();
  EXPECT_EQ(told(), "READY=1\n");
}

TEST_F(ProgramDeploymentTest, StartsTheNextVersion) {
  create();
  ProgramDeployment missing({{"/no/such/program"}, {}});
  EXPECT_EQ(missing.start(context->listeners(), context->loop(), *this).code, ENOENT);
  ProgramDeployment deployment({{"/bin/sh", "-c", "exit 3"}, {}});
  for (std::size_t i = 1; i <= 2; ++i) {
    ASSERT_FALSE(deployment.start(context->listeners(), context->loop(), *this));
    while (ends_.size() < i) context->service(-1);
    EXPECT_EQ(ends_.back(), "the new version has failed, and this one goes on: exit 3");
  }
  EXPECT_EQ(told(), "") << "the main process is the same";
}

}  // namespace
}  // namespace websockets
