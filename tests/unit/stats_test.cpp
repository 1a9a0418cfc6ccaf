// SPDX-License-Identifier: MIT
#include "server/stats.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace websockets {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return text.find("\n" + line + "\n") != std::string::npos;
}

TEST(Stats, CountsRefusalsByReason) {
  Stats stats;
  stats.refuse(RefusalReason::kTls);
  stats.refuse(RefusalReason::kTls);
  stats.refuse(RefusalReason::kShutdown);
  EXPECT_EQ(stats.refused[static_cast<std::size_t>(RefusalReason::kTls)], 2U);
  EXPECT_EQ(stats.refused.back(), 1U);
  EXPECT_EQ(kRefusalNames[static_cast<std::size_t>(RefusalReason::kTls)], "tls");
  EXPECT_EQ(std::set(kRefusalNames.begin(), kRefusalNames.end()).size(), kRefusalNames.size());
}

TEST(Stats, CountsWhatPeersChooseInOnePlace) {
  Stats stats;
  stats.close(CloseCode::kNormal);
  stats.close(static_cast<CloseCode>(3000));
  stats.close(static_cast<CloseCode>(4999));
  EXPECT_EQ(stats.closed[0], 1U);
  EXPECT_EQ(stats.closed[Stats::kCodes], 2U);
}

TEST(Stats, TheReasonOfAVerdict) {
  EXPECT_EQ(reason_of(AdmissionVerdict::kTooMany), RefusalReason::kConnections);
  EXPECT_EQ(reason_of(AdmissionVerdict::kTooManyOfAddress), RefusalReason::kAddress);
}

TEST(MetricsText, HasEachMetricWithItsType) {
  StatsReport report;
  report.counted.connections = 7;
  report.counted.refuse(RefusalReason::kMemory);
  report.counted.close(CloseCode::kGoingAway);
  report.moved = {.bytes_received = 8, .bytes_sent = 9};
  report.connections = 3;
  report.protocols = {{"chat", 1, 2}, {"echo", 0, 4}};
  const std::string text = metrics_text(report);
  EXPECT_TRUE(has_line(text, "# TYPE lua_websockets_open_connections gauge"));
  EXPECT_TRUE(has_line(text, "lua_websockets_open_connections 3"));
  EXPECT_TRUE(has_line(text, "# TYPE lua_websockets_connections_total counter"));
  EXPECT_TRUE(has_line(text, "lua_websockets_connections_total 7"));
  EXPECT_TRUE(has_line(text, "lua_websockets_open_websockets{protocol=\"chat\"} 1"));
  EXPECT_TRUE(has_line(text, "lua_websockets_websockets_total{protocol=\"echo\"} 4"));
  EXPECT_TRUE(has_line(text, "lua_websockets_closed_total{code=\"1001\"} 1"));
  EXPECT_TRUE(has_line(text, "lua_websockets_closed_total{code=\"other\"} 0"));
  EXPECT_TRUE(has_line(text, "lua_websockets_refused_total{reason=\"memory\"} 1"));
  EXPECT_TRUE(has_line(text, "lua_websockets_received_bytes_total 8"));
  EXPECT_TRUE(has_line(text, "lua_websockets_sent_bytes_total 9"));
  EXPECT_EQ(text.back(), '\n');
}

TEST(MetricsText, TellsWhatEachWorkerHas) {
  StatsReport total;
  total.connections = 3;
  std::vector<StatsReport> workers(2);
  workers[0].connections = 1;
  workers[1].connections = 2;
  workers[1].counted.messages_sent = 5;
  const std::string text = metrics_text(total, workers);
  EXPECT_TRUE(has_line(text, "lua_websockets_open_connections 3"));
  EXPECT_TRUE(has_line(text, "# TYPE lua_websockets_worker_open_connections gauge"));
  EXPECT_TRUE(has_line(text, "lua_websockets_worker_open_connections{worker=\"1\"} 1"));
  EXPECT_TRUE(has_line(text, "lua_websockets_worker_open_connections{worker=\"2\"} 2"));
  EXPECT_TRUE(has_line(text, "lua_websockets_worker_messages_sent_total{worker=\"1\"} 0"));
  EXPECT_TRUE(has_line(text, "lua_websockets_worker_messages_sent_total{worker=\"2\"} 5"));
  EXPECT_EQ(metrics_text(total).find("worker"), std::string::npos);
}

}  // namespace
}  // namespace websockets
