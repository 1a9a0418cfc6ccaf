// SPDX-License-Identifier: MIT
#include "cluster/program_start.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "temporary_folder.h"

namespace websockets {
namespace {

TEST(ProgramStart, IsThatOfThisProcess) {
  const ProgramStart& start = program_start();
  EXPECT_TRUE(std::filesystem::equivalent(start.directory, "."));
#ifdef __linux__
  ASSERT_FALSE(start.command.empty());
  EXPECT_NE(start.command[0].find("unit_tests"), std::string::npos);
#endif
}

TEST(ProgramStart, StaysWhatItWas) {
  const std::string before = program_start().directory;
  const TemporaryFolder folder;
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_EQ(program_start().directory, before);
  std::filesystem::current_path(here);
}

}  // namespace
}  // namespace websockets
