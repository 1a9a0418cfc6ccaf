// SPDX-License-Identifier: MIT
#include "files/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>
#include <vector>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif

namespace websockets {
namespace {

// O_NONBLOCK: a FIFO is not waited for.
constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
#ifdef O_PATH
constexpr int kDirectoryFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
#else
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
#endif
constexpr int kMaxLinks = 40;  // as Linux has it

// By one system call. ENOSYS: there is no such call.
UniqueFd openat2_beneath([[maybe_unused]] int directory, [[maybe_unused]] const char* path,
                         [[maybe_unused]] Directory::Links links) {
#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
  open_how how{};
  how.flags = kFileFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (links == Directory::Links::kRefused) how.resolve |= RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how)));
#else
  errno = ENOSYS;
  return {};
#endif
}

// Takes the first name off a path. What follows is empty when it was the last one.
std::string take_name(std::string& path) {
  const std::size_t slash = std::min(path.find('/'), path.size());
  std::string name = path.substr(0, slash);
  path.erase(0, slash + 1);
  return name;
}

// Puts where the link leads in front of `rest`. False, with errno: it is no link, or leads out.
bool follow_link(int directory, const std::string& name, std::string& rest) {
  std::array<char, PATH_MAX> target;
  const int error = errno;
  const ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (size <= 0 || target.front() == '/') {
    errno = size <= 0 ? error : EXDEV;
    return false;
  }
  std::string path(target.data(), static_cast<std::size_t>(size));
  if (!rest.empty()) path.append("/").append(rest);
  rest = std::move(path);
  return true;
}

}  // namespace

bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

Result<Directory> Directory::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), kDirectoryFlags));
  if (!fd) return system_error("cannot open '" + path + "'");
  return Directory(std::move(fd));
}

UniqueFd Directory::open_beneath_by_steps(const std::string& path, Links links) const {
  std::vector<UniqueFd> way;  // from the directory to where we are: ".." leads back on it, wherever things are moved
  std::string rest = path;
  for (int link_count = 0;;) {
    const std::string name = take_name(rest);
    const bool is_last = rest.empty();
    if (name == "..") {
      if (way.empty()) {
        errno = EXDEV;
        return {};
      }
      way.pop_back();
    }
    const bool stays = name.empty() || name == "." || name == "..";
    if (stays && !is_last) continue;
    const int here = way.empty() ? fd_.get() : way.back().get();
    UniqueFd found(::openat(here, stays ? "." : name.c_str(), (is_last ? kFileFlags : kDirectoryFlags) | O_NOFOLLOW));
    if (found && is_last) return found;
    if (found) {
      way.push_back(std::move(found));
      continue;
    }
    // A link: ELOOP, ENOTDIR where a directory was to be, EMLINK on BSD.
    const bool may_be_link = errno == ELOOP || errno == ENOTDIR || errno == EMLINK;
    if (links == Links::kRefused || !may_be_link || ++link_count > kMaxLinks) return {};
    if (!follow_link(here, name, rest)) return {};
  }
}

Directory::Found Directory::open_beneath(const std::string& path, Links links) const {
  Found found;
  found.file = openat2_beneath(fd_.get(), path.c_str(), links);
  // EPERM is how some containers say that they do not know the call, EAGAIN that something was moved meanwhile.
  const bool is_unanswered = !found.file && (errno == ENOSYS || errno == EPERM || errno == EAGAIN);
  if (is_unanswered) found.file = open_beneath_by_steps(path, links);
  if (!found.file) {
    found.error = errno;
    return found;
  }
  if (::fstat(found.file.get(), &found.info) != 0) return {{}, errno, {}};
  if (!S_ISREG(found.info.st_mode) && !S_ISDIR(found.info.st_mode)) return {{}, ENOENT, {}};
  return found;
}

}  // namespace websockets
