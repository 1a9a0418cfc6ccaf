// SPDX-License-Identifier: MIT
#include "cluster/cluster_stats.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace websockets {
namespace {

TEST(ClusterStatsTest, WritesTheNumbersOfEachServer) {
  std::array<ClusterServerStats, 2> servers;
  servers[0] = {"redis://a", true, 1, 2, 3, 4, 5, 6, 0.25};
  const std::string text = cluster_metrics_text(servers);
  EXPECT_EQ(text.find("# HELP lua_websockets_cluster_up Whether"), 0U);
  for (const char* line :
       {"# TYPE lua_websockets_cluster_up gauge\n", "\nlua_websockets_cluster_up{server=\"1\"} 1\n",
        "\nlua_websockets_cluster_up{server=\"2\"} 0\n", "\nlua_websockets_cluster_queued_bytes{server=\"1\"} 1\n",
        "\nlua_websockets_cluster_commands_total{server=\"1\"} 2\n",
        "\nlua_websockets_cluster_messages_total{server=\"1\"} 3\n",
        "\nlua_websockets_cluster_dropped_total{server=\"1\"} 4\n",
        "\nlua_websockets_cluster_reconnects_total{server=\"1\"} 5\n",
        "\nlua_websockets_cluster_gaps_total{server=\"1\"} 6\n",
        "\nlua_websockets_cluster_probe_seconds{server=\"1\"} 0.250000\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace websockets
