// SPDX-License-Identifier: MIT
#include "server/stats.h"

#include <initializer_list>
#include <utility>

namespace websockets {
namespace {

// Writes one metric after the other. The values of labels are tokens (RFC 9110 5.6.2) and numbers: there is nothing in
// them to be escaped.
class MetricsWriter {
 public:
  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    add({"# HELP ", kPrefix, name, " ", help, "\n# TYPE ", kPrefix, name, " ", type, "\n"});
  }
  void value(std::uint64_t number) { add({kPrefix, name_, " ", std::to_string(number), "\n"}); }
  void value(std::string_view label, std::string_view of, std::uint64_t number) {
    add({kPrefix, name_, "{", label, "=\"", of, "\"} ", std::to_string(number), "\n"});
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t number) {
    begin(name, "gauge", help);
    value(number);
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t number) {
    begin(name, "counter", help);
    value(number);
  }
  std::string take() { return std::move(text_); }

 private:
  static constexpr std::string_view kPrefix = "lua_websockets_";

  void add(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) text_.append(part);
  }

  std::string text_;
  std::string_view name_;
};

void write_connections(MetricsWriter& writer, const StatsReport& report) {
  const Stats& counted = report.counted;
  writer.gauge("open_connections", "Connections that are open, whatever they speak.", report.connections);
  writer.counter("connections_total", "Connections that were accepted.", counted.connections);
  writer.counter("http_requests_total", "Requests that were not for a websocket.", counted.http_requests);
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

void write_traffic(MetricsWriter& writer, const StatsReport& report) {
  const Stats& counted = report.counted;
  writer.counter("messages_received_total", "Messages that websockets have received.", counted.messages_received);
  writer.counter("messages_sent_total", "Messages that were sent to websockets.", counted.messages_sent);
  writer.counter("received_bytes_total", "Bytes received, without TLS.", report.moved.bytes_received);
  writer.counter("sent_bytes_total", "Bytes sent, without TLS.", report.moved.bytes_sent);
  writer.gauge("queued_bytes", "Bytes that wait to be sent.", report.queued_bytes);
  writer.counter("queue_full_total", "Frames for which a websocket's queue had no room.", counted.queue_full);
  writer.gauge("topics", "Topics that have a subscriber.", report.topics);
  writer.gauge("subscriptions", "Subscriptions to topics.", report.subscriptions);
}

}  // namespace

std::string metrics_text(const StatsReport& report) {
  MetricsWriter writer;
  write_connections(writer, report);
  write_traffic(writer, report);
  return writer.take();
}

}  // namespace websockets
