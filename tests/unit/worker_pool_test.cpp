// SPDX-License-Identifier: MIT
#include "cluster/worker_pool.h"

#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <string>

#include "supervisor_process.h"

namespace websockets {
namespace {

TEST(WorkerPool, ServesByAllWorkersUntilItIsToldToStop) {
  SupervisorProcess supervisor;
  supervisor.start();
  std::set<pid_t> servers;
  while (servers.size() < 2) servers.insert(supervisor.ask());
  EXPECT_FALSE(servers.contains(0));
  EXPECT_FALSE(servers.contains(supervisor.pid()));
  supervisor.signal(SIGTERM);
  EXPECT_EQ(supervisor.next_line().substr(0, 8), "exit of ");
  EXPECT_EQ(supervisor.next_line().substr(9), ": exit 0");
  EXPECT_EQ(supervisor.next_line(), "end: 15");
  EXPECT_EQ(supervisor.wait(), 0);
  for (const pid_t server : servers) EXPECT_EQ(::kill(server, 0), -1);
  EXPECT_FALSE(supervisor.connect());
}

}  // namespace
}  // namespace websockets
