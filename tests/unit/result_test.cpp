// SPDX-License-Identifier: MIT
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace websockets {
namespace {

TEST(Error, IsNoneWithoutAText) {
  EXPECT_FALSE(Error{});
  EXPECT_TRUE((Error{"it failed"}));
}

TEST(Error, SaysWhatTheSystemSays) {
  errno = ENOENT;
  const Error error = system_error("cannot open it");
  EXPECT_EQ(error.code, ENOENT);
  EXPECT_TRUE(error.text.starts_with("cannot open it"));
  EXPECT_NE(error.text.find("No such file"), std::string::npos);
}

TEST(Result, IsAValueOrTheReasonWhyThereIsNone) {
  Result<std::unique_ptr<int>> value = std::make_unique<int>(7);
  ASSERT_TRUE(value);
  EXPECT_EQ(**value, 7);
  EXPECT_FALSE(value.error());
  const std::unique_ptr<int> taken = std::move(*value);
  EXPECT_EQ(*taken, 7);
  const Result<std::string> none = Error{"it failed", EPERM};
  EXPECT_FALSE(none);
  EXPECT_EQ(none.error().text, "it failed");
  EXPECT_EQ(none.error().code, EPERM);
  EXPECT_EQ(Result<std::string>("text")->size(), 4U);
}

}  // namespace
}  // namespace websockets
