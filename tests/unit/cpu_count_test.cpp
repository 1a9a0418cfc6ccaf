// SPDX-License-Identifier: MIT
#include "base/cpu_count.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "temporary_folder.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace websockets {
namespace {

namespace fs = std::filesystem;

constexpr const char* kV2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kV1Mounts =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw shared:7 - cgroup cgroup rw,cpuset\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:6 master:2 - cgroup cgroup rw,cpu,cpuacct\n";

// A directory in place of the root of the file system.
class CpuQuota : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const fs::path file(root_.path() + path);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  int quota() const { return cpu_quota(root_.path()); }

 private:
  TemporaryFolder root_;
};

TEST_F(CpuQuota, IsNoneWhereNothingTellsOfIt) {
  EXPECT_EQ(quota(), 0);
  write("/proc/self/cgroup", "nonsense\n:\n0::/\n");
  write("/proc/self/mountinfo", "nonsense\n\n");
  EXPECT_EQ(quota(), 0);
}

TEST_F(CpuQuota, IsThatOfTheOwnGroup) {
  write("/proc/self/cgroup", "0::/system.slice/chat.service\n");
  write("/proc/self/mountinfo", kV2Mount);
  write("/sys/fs/cgroup/system.slice/chat.service/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2);
}

TEST_F(CpuQuota, IsRoundedUp) {
  write("/proc/self/cgroup", "0::/a\n");
  write("/proc/self/mountinfo", kV2Mount);
  write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 2);
  write("/sys/fs/cgroup/a/cpu.max", "5000 100000\n");
  EXPECT_EQ(quota(), 1);
}

TEST_F(CpuQuota, IsTheSmallestOfAllGroupsAround) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/proc/self/mountinfo", kV2Mount);
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0);
  write("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  EXPECT_EQ(quota(), 3);
  write("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota(), 3);
  write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2);
}

TEST_F(CpuQuota, IsFoundInVersion1) {
  write("/proc/self/cgroup", "5:cpuset:/other\n4:cpu,cpuacct:/a\n1:name=systemd:/\n0::/\n");
  write("/proc/self/mountinfo", kV1Mounts);
  write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0);
  write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "400000\n");
  EXPECT_EQ(quota(), 4);
}

TEST_F(CpuQuota, OfAContainerIsAtTheMountPoint) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/abc/inner\n");
  write("/proc/self/mountinfo", "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 3);
  write("/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "50000\n");
  write("/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1);
}

TEST_F(CpuQuota, OfAGroupThatCannotBeSeenIsThatOfTheMountPoint) {
  write("/proc/self/cgroup", "0::/elsewhere\n");
  write("/proc/self/mountinfo", "32 31 0:29 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
  write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2);
}

TEST(CpuCount, IsOneAtLeast) { EXPECT_GE(cpu_count(), 1); }

#ifdef __linux__
TEST(CpuCount, IsOneOfAProcessThatMayRunOnOne) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
#ifndef WEBSOCKETS_PORTABLE
  EXPECT_EQ(cpu_count(), 1);
#endif
  ::sched_setaffinity(0, sizeof before, &before);
}
#endif

}  // namespace
}  // namespace websockets
