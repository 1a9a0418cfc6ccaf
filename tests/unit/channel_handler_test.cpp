// SPDX-License-Identifier: MIT
#include "loop/channel_handler.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

// What a protocol without anything special has to say.
class PlainHandler final : public ChannelHandler {
 public:
  InputState on_input(std::span<std::uint8_t>& input, Budget&) override {
    input = {};
    return {};
  }
  std::size_t held_bytes() const override { return 0; }
  void on_end_of_input() override {}
  void on_output_progress(bool) override {}
  void on_deadline() override {}
  void run_deferred() override {}
  void on_broken() override {}
  void on_shed() override {}
  void on_closed() override {}
  void on_lost() override {}
  void on_released() override {}
};

TEST(ChannelHandler, ExpectsNothingSpecialUnlessItSaysSo) {
  PlainHandler handler;
  EXPECT_FALSE(handler.expects_preamble());
  EXPECT_EQ(handler.on_preamble({}), 0U);
  EXPECT_TRUE(handler.direct_space().empty());
  Budget budget;
  for (const InputState& state : {handler.on_received_in_place(1, budget), InputState()}) {
    EXPECT_FALSE(state.is_pending || state.has_direct_space || state.holds_bytes);
  }
  handler.on_plain_text();
  handler.on_handshake_failed();
}

}  // namespace
}  // namespace websockets
