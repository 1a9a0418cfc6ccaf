// SPDX-License-Identifier: MIT
// What a loop needs to live without a server: an owner that counts, and channels over socket pairs whose handler writes
// down what happens, and does then what the test says.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "loop/channel.h"
#include "loop/loop.h"
#include "socket_pairs.h"

namespace websockets {

using Log = std::vector<std::string>;

class FakeLoopOwner final : public LoopOwner {
 public:
  bool has_work() const override { return work > 0; }
  bool do_work() override {
    if (work == 0) return false;
    --work;
    return true;
  }
  void on_served() override { ++turns; }
  void on_round_end() override {
    ++rounds;
    during_round_end();
  }

  int work = 0;
  int turns = 0;
  int rounds = 0;
  std::function<void()> during_round_end = [] {};
};

// One end of a socket pair in a loop. Writes down its events as "name event", the name as far as it has one; then calls
// `action` with the event.
class FakeSpeaker final : public ChannelHandler {
 public:
  static constexpr std::size_t kAnything = std::numeric_limits<std::size_t>::max();

  FakeSpeaker(Loop& loop, Log& log, std::string name = {}, SocketPair pair = local_pair(), SslSession tls = nullptr)
      : far(std::move(pair.far)), name_(std::move(name)), log_(log) {
    channel_.emplace(loop, Stream(std::move(pair.near), std::move(tls)), *this);
    channel_->start();
    channel_->update_interest();
  }

  // Until it was released.
  Channel& channel() { return *channel_; }
  bool is_released() const { return !channel_; }

  void append(std::string_view text) { channel().output().append(channel().loop().output_pool(), as_bytes(text)); }
  void say(std::string_view text) {
    append(text);
    channel().output_added();
  }
  // What the far end has got and not read yet; "(end)" behind it when there will be no more.
  std::string heard() {
    std::string all;
    std::array<char, 65536> some;
    for (;;) {
      const ssize_t got = ::recv(far.get(), some.data(), some.size(), MSG_DONTWAIT);
      if (got < 0) return all;
      if (got == 0) return all + "(end)";
      all.append(some.data(), static_cast<std::size_t>(got));
    }
  }

  bool expects_preamble() const override { return preamble_bytes > 0; }
  std::size_t on_preamble(std::span<const std::uint8_t> bytes) override {
    const std::size_t taken = std::min(bytes.size(), preamble_bytes);
    preamble_bytes -= taken;
    note("preamble:" + std::string(as_text(bytes.first(taken))));
    return taken;
  }
  InputState on_input(std::span<std::uint8_t>& input, Budget& budget) override {
    const std::span<std::uint8_t> taken = input.first(std::min(input.size(), at_once));
    input = input.subspan(taken.size());
    budget.spend(cost);
    input_bytes += taken.size();
    note(taken.size() > 100 ? "much input" : "input:" + std::string(as_text(taken)));
    return state;
  }
  std::span<std::uint8_t> direct_space() override { return space; }
  InputState on_received_in_place(std::size_t count, Budget& budget) override {
    budget.spend(cost);
    note("in place:" + std::string(as_text(space.first(count))));
    return state;
  }
  std::size_t held_bytes() const override { return held; }
  std::size_t held_output_bytes() const override { return held_output; }
  void on_end_of_input() override { note("end"); }
  void on_output_progress(bool is_empty) override { note(is_empty ? "sent all" : "sent some"); }
  void on_deadline() override { note("deadline"); }
  std::uint64_t linger_timeout_ms(std::uint64_t usual_ms) const override { return linger_ms.value_or(usual_ms); }
  void run_deferred() override { note("deferred"); }
  void on_broken() override { note("broken"); }
  void on_handshake_failed() override { note("handshake failed"); }
  void on_shed() override {
    note("shed");
    during_shed();
  }
  void on_closed() override { note("closed"); }
  void on_lost() override { note("lost"); }
  void on_released() override {
    note("released");
    channel_.reset();
  }

  UniqueFd far;
  std::function<void(const std::string&)> action = [](const std::string&) {};
  std::size_t at_once = kAnything;  // so much input it takes by one call
  std::size_t cost = 0;             // of each call
  InputState state;                 // what it has come to then
  std::span<std::uint8_t> space;    // direct
  std::size_t held = 0;
  std::size_t held_output = 0;
  std::function<void()> during_shed = [this] { channel().close(); };
  std::size_t preamble_bytes = 0;          // that it awaits
  std::optional<std::uint64_t> linger_ms;  // for how long it lingers; none: as the loop says
  std::size_t input_bytes = 0;

 private:
  void note(const std::string& event) {
    log_.push_back(name_.empty() ? event : name_ + " " + event);
    action(event);
  }

  std::string name_;
  Log& log_;
  std::optional<Channel> channel_;
};

// A loop of its own; `open()` makes another one, of other options.
class LoopFixture : public testing::Test {
 protected:
  LoopFixture() { open({}); }

  void open(const LoopOptions& options) {
    loop_.emplace(options, owner);
    const Error error = loop_->open();
    ASSERT_FALSE(error) << error.text;
  }
  Loop& loop() { return *loop_; }
  Log take_log() { return std::exchange(log, {}); }
  // Until there is nothing to do but to wait.
  void settle() {
    std::uint64_t before = 0;
    const auto progress = [&] { return log.size() + loop().stats().bytes_received + loop().stats().bytes_sent; };
    do {
      before = progress();
      loop().service(0);
    } while (loop().idle_ms() == 0 || progress() != before);
  }

  FakeLoopOwner owner;
  Log log;

 private:
  std::optional<Loop> loop_;
};

}  // namespace websockets
