// SPDX-License-Identifier: MIT
#include "loop/disposable.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "loop_fixture.h"

namespace websockets {
namespace {

class Fake final : public Disposable {
 public:
  explicit Fake(std::function<void()> at_end) : at_end_(std::move(at_end)) {}
  ~Fake() override { at_end_(); }

 private:
  std::function<void()> at_end_;
};

class DisposableTest : public LoopFixture {
 protected:
  std::unique_ptr<Disposable> make(
      const std::string& name, std::function<void()> at_end = [] {}) {
    return std::make_unique<Fake>([this, name, at_end = std::move(at_end)] {
      log.push_back(name);
      at_end();
    });
  }
};

TEST_F(DisposableTest, OutsideOfRoundsItIsDestroyedAtOnce) {
  loop().dispose(make("a"));
  EXPECT_EQ(take_log(), (Log{"a"}));
}

TEST_F(DisposableTest, WithinRoundsAtTheEndOfTheOutermostOne) {
  {
    const Loop::Round outer(loop());
    loop().dispose(make("a"));
    {
      const Loop::Round inner(loop());
      loop().dispose(make("b"));
      loop().service(0);
    }
    EXPECT_EQ(take_log(), Log{});
  }
  EXPECT_EQ(take_log(), (Log{"a", "b"}));
}

TEST_F(DisposableTest, WhatIsDestroyedMayDisposeOfMore) {
  const Loop::Round round(loop());
  loop().dispose(make("a", [this] { loop().dispose(make("b")); }));
}

TEST_F(DisposableTest, ChannelsThatWereClosedAreReleasedBefore) {
  FakeSpeaker speaker(loop(), log);
  {
    const Loop::Round round(loop());
    loop().dispose(make("a"));
    speaker.channel().close();
    EXPECT_EQ(take_log(), (Log{"closed"}));
  }
  EXPECT_EQ(take_log(), (Log{"released", "a"}));
}

}  // namespace
}  // namespace websockets
