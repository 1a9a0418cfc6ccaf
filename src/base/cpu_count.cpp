// SPDX-License-Identifier: MIT
#include "base/cpu_count.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#include <sched.h>
#define WEBSOCKETS_HAVE_AFFINITY
#endif

namespace websockets {
namespace {

constexpr double kNoLimit = 0;

// A hierarchy of control groups as cgroups(7) and proc_pid_mountinfo(5) tell of it.
struct Hierarchy {
  std::string group;        // the process's own: its path, from the hierarchy's root
  std::string mounted;      // which group is seen at `mount_point`
  std::string mount_point;  // "": not mounted
};

bool is_listed(std::string_view name, std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == name) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Of version 2 the line is "0::/path", of version 1 "4:cpu,cpuacct:/path".
std::string own_group(const std::string& root, bool is_v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : is_listed("cpu", controllers)) return line.substr(second + 1);
  }
  return {};
}

// "36 35 98:0 /mounted /mount/point rw,noatime master:1 - cgroup source rw,cpu"
Hierarchy find_hierarchy(const std::string& root, bool is_v2) {
  Hierarchy found{own_group(root, is_v2), {}, {}};
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string field;
    std::string mounted;
    std::string mount_point;
    std::string type;
    std::string source;
    std::string options;
    fields >> field >> field >> field >> mounted >> mount_point;
    while (fields >> field && field != "-") {
    }
    fields >> type >> source >> options;
    if (is_v2 ? type == "cgroup2" : type == "cgroup" && is_listed("cpu", options)) {
      found.mounted = mounted;
      found.mount_point = mount_point;
    }
  }
  return found;
}

// The directories of the own group and of those around it, as far as they can be seen.
std::vector<std::string> group_directories(const std::string& root, const Hierarchy& hierarchy) {
  if (hierarchy.mount_point.empty()) return {};
  // A container may see its own group as the root, under another name than that which it is told.
  std::string group = hierarchy.mounted == "/" ? hierarchy.group : "";
  if (hierarchy.mounted != "/" && hierarchy.group.starts_with(hierarchy.mounted)) {
    group = hierarchy.group.substr(hierarchy.mounted.size());
  }
  std::vector<std::string> directories;
  for (std::size_t end = group.size(); end != 0 && end != std::string::npos; end = group.rfind('/', end - 1)) {
    directories.push_back(root + hierarchy.mount_point + group.substr(0, end));
  }
  directories.push_back(root + hierarchy.mount_point);
  return directories;
}

double quota_of_v2(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  double quota = 0;  // "max": none
  double period = 0;
  file >> quota >> period;
  return file && period > 0 ? quota / period : kNoLimit;
}

double quota_of_v1(const std::string& directory) {
  double quota = -1;  // so it says: none
  double period = 0;
  std::ifstream(directory + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(directory + "/cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? quota / period : kNoLimit;
}

int processors() {
#ifdef WEBSOCKETS_HAVE_AFFINITY
  // The kernel answers EINVAL as long as the set is smaller than its own.
  for (int most = 1024; most <= (1 << 20); most *= 2) {
    std::vector<cpu_set_t> set(CPU_ALLOC_SIZE(most) / sizeof(cpu_set_t));
    const std::size_t bytes = set.size() * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, set.data()) == 0) return CPU_COUNT_S(bytes, set.data());
    if (errno != EINVAL) break;
  }
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int cpu_quota(const std::string& root) {
  double smallest = kNoLimit;
  for (const bool is_v2 : {true, false}) {
    for (const std::string& directory : group_directories(root, find_hierarchy(root, is_v2))) {
      const double quota = is_v2 ? quota_of_v2(directory) : quota_of_v1(directory);
      if (quota != kNoLimit) smallest = smallest == kNoLimit ? quota : std::min(smallest, quota);
    }
  }
  return static_cast<int>(std::ceil(smallest));
}

int cpu_count() {
  const int quota = cpu_quota();
  const int count = processors();
  return std::max(1, quota == 0 ? count : std::min(count, quota));
}

}  // namespace websockets
