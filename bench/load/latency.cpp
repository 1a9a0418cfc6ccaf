// SPDX-License-Identifier: MIT
#include "latency.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "progress.h"
#include "support.h"

Latency::Latency(const Options& options, const Loop& loop, std::vector<Connection>& connections,
                 std::vector<Connection>& flood)
    : options_(options),
      loop_(loop),
      connections_(connections),
      flood_(flood),
      messages_(options.rate * options.seconds),
      answers_(connections.size()) {}

// It never sleeps, unless told: waking up takes longer than many an answer.
std::size_t Latency::run() {
  const auto seconds = static_cast<std::int64_t>(options_.seconds);
  begin_ns_ = now_ns();
  const auto limit = static_cast<std::int64_t>(options_.limit_s);
  const std::int64_t end_ns = begin_ns_ + ((limit > 0 ? limit : 2 * seconds) * kSecondNs);
  Progress progress(options_.mode, options_.timeout_s);
  for (Connection& connection : flood_) connection.send_frames(1);
  while (histogram_.count() < messages_ && now_ns() < end_ns) {
    send_due();
    loop_.wait(wait_ns(end_ns), [this](Connection& connection, std::uint32_t events) { serve(connection, events); });
    progress.tell(static_cast<std::size_t>(histogram_.count()), messages_);
  }
  return static_cast<std::size_t>(histogram_.count());
}

std::int64_t Latency::due_ns(std::size_t message) const {
  const double seconds = static_cast<double>(message) / static_cast<double>(options_.rate);
  return begin_ns_ + static_cast<std::int64_t>(seconds * 1e9);
}

std::int64_t Latency::wait_ns(std::int64_t end_ns) const {
  if (!options_.sleep) return 0;
  const std::int64_t until_ns = sent_ < messages_ ? due_ns(sent_) : end_ns;
  return std::clamp<std::int64_t>(until_ns - now_ns(), 0, kSecondNs);
}

void Latency::send_due() {
  for (const std::int64_t now = now_ns(); sent_ < messages_ && due_ns(sent_) <= now; ++sent_) {
    connections_[sent_ % connections_.size()].send_frames(1);
  }
}

void Latency::serve(Connection& connection, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) connection.flush();
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(connection);
  send_due();
}

void Latency::receive(Connection& connection) {
  const std::size_t frames = connection.receive();
  if (!flood_.empty() && &connection.frames() == &flood_[0].frames()) {
    flood_messages_ += frames;
    connection.send_frames(frames);
    return;
  }
  if (frames == 0) return;
  last_ns_ = now_ns();
  const auto number = static_cast<std::size_t>(&connection - connections_.data());
  for (std::size_t i = 0; i < frames; ++i) {
    const std::size_t message = (answers_[number]++ * connections_.size()) + number;
    if (message >= sent_) die("more came back than was sent");
    histogram_.add(static_cast<std::uint64_t>(last_ns_ - due_ns(message)));
  }
}

// The curve has a pair for each bucket of the histogram: which part of the messages is not slower, and the latency.
void Latency::describe(JsonObject& result) const {
  const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
  std::string curve;
  histogram_.for_each([&](double, double part, std::uint64_t ns) {
    std::array<char, 64> pair;
    std::snprintf(pair.data(), pair.size(), "%s[%.9g, %.6g]", curve.empty() ? "" : ", ", part, us(ns));
    curve += pair.data();
  });
  const auto count = static_cast<double>(histogram_.count());
  JsonObject latency;
  for (const auto& [name, part] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}) {
    latency.add(name, us(histogram_.percentile(part)));
  }
  latency.add("max", us(histogram_.max()));
  result.add("rate", static_cast<double>(options_.rate))
      .add("reached_rate", count / to_seconds(std::max<std::int64_t>(last_ns_ - begin_ns_, 1)))
      .add("unanswered", static_cast<double>(messages_) - count)
      .add("flood", static_cast<double>(flood_.size()))
      .add("flood_messages", static_cast<double>(flood_messages_))
      .add_json("latency_us", latency.text())
      .add_json("curve", '[' + curve + ']');
}
