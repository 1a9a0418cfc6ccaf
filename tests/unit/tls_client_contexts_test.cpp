// SPDX-License-Identifier: MIT
#include "dial/tls_client_contexts.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "failing_allocations.h"
#include "loop_fixture.h"

namespace websockets {
namespace {

using Context = std::shared_ptr<TlsClientContext>;

class Waiter final : public TlsContextWaiter {
 public:
  void on_tls_context(Result<Context> its_context) override {
    const FailingAllocation::Pause pause;
    ++calls;
    error = its_context.error().text;
    context = its_context ? *its_context : nullptr;
    action();
  }
  int calls = 0;
  Context context;
  std::string error;
  std::function<void()> action = [] {};
};

// Quick to make.
TlsClientOptions unverified(const std::string& server_name = {}) {
  TlsClientOptions options;
  options.verify = false;
  options.server_name = server_name;
  return options;
}
TlsClientOptions impossible() {
  TlsClientOptions options;
  options.ca_path = "/no/such/file";
  return options;
}

class TlsClientContextsTest : public LoopFixture {
 protected:
  TlsClientContextsTest() : tasks(std::in_place, loop()), contexts(std::in_place, *tasks) {}
  ~TlsClientContextsTest() override {
    contexts.reset();
    tasks.reset();
  }
  void serve_until_told(const Waiter& waiter) {
    while (waiter.calls == 0) loop().service(-1);
  }
  Context made(const TlsClientOptions& options) {
    Waiter waiter;
    const Result<Context> context = contexts->get(options, waiter);
    if (*context != nullptr) return *context;
    serve_until_told(waiter);
    return waiter.context;
  }

  std::optional<BackgroundTasks> tasks;
  std::optional<TlsClientContexts> contexts;
};

TEST_F(TlsClientContextsTest, AThreadMakesTheFirstOneAndTheNextGetsItAtOnce) {
  Waiter waiter;
  const Result<Context> first = contexts->get(unverified(), waiter);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, nullptr);
  serve_until_told(waiter);
  ASSERT_NE(waiter.context, nullptr);
  Waiter other;
  EXPECT_EQ(*contexts->get(unverified(), other), waiter.context);
  EXPECT_NE(made(unverified("other")), waiter.context);
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(other.calls, 0);
}

TEST_F(TlsClientContextsTest, AllWhoWaitForTheSameAreToldTogether) {
  Waiter one;
  Waiter other;
  Waiter gone;
  other.action = [&] { EXPECT_EQ(one.calls, 1); };
  for (Waiter* waiter : {&one, &gone, &other}) EXPECT_EQ(*contexts->get(unverified(), *waiter), nullptr);
  EXPECT_EQ(contexts->size(), 1U);
  contexts->cancel(gone);
  contexts->cancel(gone);
  serve_until_told(other);
  EXPECT_EQ(one.context, other.context);
  EXPECT_EQ(gone.calls, 0);
}

TEST_F(TlsClientContextsTest, OneThatIsToldMayCancelAnother) {
  Waiter one;
  Waiter other;
  one.action = [&] { contexts->cancel(other); };
  EXPECT_TRUE(contexts->get(unverified(), one));
  EXPECT_TRUE(contexts->get(unverified(), other));
  serve_until_told(one);
  EXPECT_EQ(other.calls, 0);
}

TEST_F(TlsClientContextsTest, AnErrorIsToldAndNotKept) {
  Waiter waiter;
  Waiter again;
  waiter.action = [&] { EXPECT_EQ(*contexts->get(impossible(), again), nullptr); };
  EXPECT_EQ(*contexts->get(impossible(), waiter), nullptr);
  serve_until_told(again);
  EXPECT_NE(waiter.error.find("/no/such/file"), std::string::npos) << waiter.error;
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(again.error, waiter.error);
  EXPECT_EQ(contexts->size(), 0U);
}

TEST_F(TlsClientContextsTest, OneThatIsForgottenIsMadeAnew) {
  const Context first = made(unverified());
  contexts->forget(*first);
  EXPECT_EQ(contexts->size(), 0U);
  const Context second = made(unverified());
  EXPECT_NE(second, first);
}

TEST_F(TlsClientContextsTest, TheOldestThatNobodyUsesGoFirst) {
  const Context used = made(unverified("used"));
  for (std::size_t i = 0; i < TlsClientContexts::kMostUnused; ++i) made(unverified(std::to_string(i)));
  EXPECT_EQ(contexts->size(), 1 + TlsClientContexts::kMostUnused);
  made(unverified("0"));  // not the oldest any more
  made(unverified("more"));
  EXPECT_EQ(contexts->size(), 1 + TlsClientContexts::kMostUnused);
  Waiter waiter;
  EXPECT_EQ(*contexts->get(unverified("used"), waiter), used);
  EXPECT_NE(*contexts->get(unverified("0"), waiter), nullptr);
  EXPECT_EQ(*contexts->get(unverified("1"), waiter), nullptr);
  contexts->cancel(waiter);
}

TEST_F(TlsClientContextsTest, AThreadMayOutliveThem) {
  Waiter waiter;
  EXPECT_TRUE(contexts->get(unverified(), waiter));
  contexts->cancel(waiter);
  contexts.reset();
  tasks.reset();
  loop().service(0);
  EXPECT_EQ(waiter.calls, 0);
}

TEST_F(TlsClientContextsTest, WithoutMemoryNobodyWaitsInVain) {
  for (std::size_t failing = 1;; ++failing) {
    Waiter waiter;
    bool has_begun = false;
    bool has_failed = false;
    {
      const FailingAllocation failure(failing);
      try {
        has_begun = static_cast<bool>(contexts->get(unverified(), waiter));
      } catch (const std::bad_alloc&) {
      }
      has_failed = failure.has_failed();
    }
    EXPECT_EQ(contexts->size(), has_begun ? 1U : 0U);
    if (has_begun) serve_until_told(waiter);
    if (!has_failed) break;
    if (has_begun) contexts->forget(*waiter.context);
  }
}

}  // namespace
}  // namespace websockets
