// SPDX-License-Identifier: MIT
#include "server/stats.h"

#include <array>

#include "server/metrics_writer.h"

namespace websockets {
namespace {

// One number of a report.
struct Metric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::uint64_t (*value)(const StatsReport& report);
};

constexpr std::array kConnectionMetrics = {
    Metric{"open_connections", "gauge", "Connections that are open, whatever they speak.",
           [](const StatsReport& report) -> std::uint64_t { return report.connections; }},
    Metric{"connections_total", "counter", "Connections that were accepted.",
           [](const StatsReport& report) { return report.counted.connections; }},
    Metric{"http_requests_total", "counter", "Requests that were not for a websocket.",
           [](const StatsReport& report) { return report.counted.http_requests; }},
};

constexpr std::array kTrafficMetrics = {
    Metric{"messages_received_total", "counter", "Messages that websockets have received.",
           [](const StatsReport& report) { return report.counted.messages_received; }},
    Metric{"messages_sent_total", "counter", "Messages that were sent to websockets.",
           [](const StatsReport& report) { return report.counted.messages_sent; }},
    Metric{"received_bytes_total", "counter", "Bytes received, without TLS.",
           [](const StatsReport& report) { return report.moved.bytes_received; }},
    Metric{"sent_bytes_total", "counter", "Bytes sent, without TLS.",
           [](const StatsReport& report) { return report.moved.bytes_sent; }},
    Metric{"queued_bytes", "gauge", "Bytes that wait to be sent.",
           [](const StatsReport& report) -> std::uint64_t { return report.queued_bytes; }},
    Metric{"queue_full_total", "counter", "Frames for which a websocket's queue had no room.",
           [](const StatsReport& report) { return report.counted.queue_full; }},
    Metric{"topics", "gauge", "Topics that have a subscriber.",
           [](const StatsReport& report) -> std::uint64_t { return report.topics; }},
    Metric{"subscriptions", "gauge", "Subscriptions to topics.",
           [](const StatsReport& report) -> std::uint64_t { return report.subscriptions; }},
};

void write(MetricsWriter& writer, std::span<const Metric> metrics, const StatsReport& report) {
  for (const Metric& metric : metrics) {
    writer.begin(metric.name, metric.type, metric.help);
    writer.value(metric.value(report));
  }
}

void write_websockets(MetricsWriter& writer, const StatsReport& report) {
  const Stats& counted = report.counted;
  writer.begin("open_websockets", "gauge", "Websockets that are open, by subprotocol.");
  for (const auto& protocol : report.protocols) writer.value("protocol", protocol.name, protocol.open);
  writer.begin("websockets_total", "counter", "Websockets that were opened, by subprotocol.");
  for (const auto& protocol : report.protocols) writer.value("protocol", protocol.name, protocol.opened);
  writer.begin("closed_total", "counter", "Websockets that were closed, by close code.");
  for (std::size_t i = 0; i < Stats::kCodes; ++i) {
    writer.value("code", std::to_string(Stats::kFirstCode + i), counted.closed[i]);
  }
  writer.value("code", "other", counted.closed[Stats::kCodes]);
  writer.begin("refused_total", "counter", "Clients that did not get what they came for, by reason.");
  for (std::size_t i = 0; i < kRefusalNames.size(); ++i) {
    writer.value("reason", kRefusalNames[i], counted.refused[i]);
  }
}

void write_of_workers(MetricsWriter& writer, std::span<const Metric> metrics, std::span<const StatsReport> workers) {
  for (const Metric& metric : metrics) {
    const std::string name = "worker_" + std::string(metric.name);
    writer.begin(name, metric.type, metric.help);
    for (std::size_t i = 0; i < workers.size(); ++i) {
      writer.value("worker", std::to_string(i + 1), metric.value(workers[i]));
    }
  }
}

}  // namespace

std::string metrics_text(const StatsReport& report, std::span<const StatsReport> workers) {
  MetricsWriter writer;
  write(writer, kConnectionMetrics, report);
  write_websockets(writer, report);
  write(writer, kTrafficMetrics, report);
  if (!workers.empty()) {
    write_of_workers(writer, kConnectionMetrics, workers);
    write_of_workers(writer, kTrafficMetrics, workers);
  }
  return writer.take();
}

}  // namespace websockets
