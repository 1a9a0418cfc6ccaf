// SPDX-License-Identifier: MIT
#include "base/open_descriptors.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <system_error>

namespace websockets {
namespace {

constexpr long kMostDescriptors = 65'536;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

std::vector<int> open_descriptors() {
#ifdef __linux__
  constexpr const char* kDirectory = "/proc/self/fd";
#else
  constexpr const char* kDirectory = "/dev/fd";
#endif
  std::vector<int> numbers;
  if (const std::unique_ptr<DIR, CloseDirectory> directory{::opendir(kDirectory)}) {
    while (const dirent* const entry = ::readdir(directory.get())) {
      int number = -1;
      const char* const end = entry->d_name + std::strlen(entry->d_name);
      const bool is_number = std::from_chars(entry->d_name, end, number).ec == std::errc();
      if (is_number && number != ::dirfd(directory.get())) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
  } else {
    const long most = std::min(::sysconf(_SC_OPEN_MAX), kMostDescriptors);
    for (int number = 0; number < most; ++number) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace websockets
