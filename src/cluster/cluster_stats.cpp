// SPDX-License-Identifier: MIT
#include "cluster/cluster_stats.h"

#include <array>
#include <cstdio>
#include <string_view>

#include "server/metrics_writer.h"

namespace websockets {
namespace {

struct Metric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::uint64_t (*value)(const ClusterServerStats& server);
};

constexpr std::array kMetrics = {
    Metric{"cluster_up", "gauge", "Whether the server of the cluster is reached.",
           [](const ClusterServerStats& server) -> std::uint64_t { return server.is_up ? 1 : 0; }},
    Metric{"cluster_queued_bytes", "gauge", "Bytes that wait for it.",
           [](const ClusterServerStats& server) -> std::uint64_t { return server.queued_bytes; }},
    Metric{"cluster_commands_total", "counter", "Commands that it was sent.",
           [](const ClusterServerStats& server) { return server.commands; }},
    Metric{"cluster_messages_total", "counter", "Messages that have come from it.",
           [](const ClusterServerStats& server) { return server.messages; }},
    Metric{"cluster_dropped_total", "counter", "Commands that it could not be sent, as too much waited.",
           [](const ClusterServerStats& server) { return server.dropped; }},
    Metric{"cluster_reconnects_total", "counter", "How often it was reached again.",
           [](const ClusterServerStats& server) { return server.reconnects; }},
    Metric{"cluster_gaps_total", "counter", "How often messages of others were lost, or may have been.",
           [](const ClusterServerStats& server) { return server.gaps; }},
};

}  // namespace

std::string cluster_metrics_text(std::span<const ClusterServerStats> servers) {
  MetricsWriter writer;
  for (const Metric& metric : kMetrics) {
    writer.begin(metric.name, metric.type, metric.help);
    for (std::size_t i = 0; i < servers.size(); ++i) {
      writer.value("server", std::to_string(i + 1), metric.value(servers[i]));
    }
  }
  writer.begin("cluster_probe_seconds", "gauge", "How long its last answer to a probe took.");
  for (std::size_t i = 0; i < servers.size(); ++i) {
    std::array<char, 32> number{};
    static_cast<void>(std::snprintf(number.data(), number.size(), "%.6f", servers[i].probe_seconds));
    writer.value("server", std::to_string(i + 1), std::string_view(number.data()));
  }
  return writer.take();
}

}  // namespace websockets
