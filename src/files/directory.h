// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <string>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace websockets {

// Whether a file could not be opened because the process, or the system, has too much open.
bool is_shortage(int error);

// A directory whose files are opened by relative paths, without a way out of it: neither by "..", nor by links, nor
// when somebody moves things meanwhile.
class Directory {
 public:
  // It is kept open: what is put in its place later is another one.
  static Result<Directory> open(const std::string& path);

  enum class Links {
    kRefused,
    kFollowed,  // while they stay beneath the directory; absolute ones do not
  };

  struct Found {
    UniqueFd file;
    int error = 0;        // errno, when there is no file
    struct stat info {};  // of a regular file or a directory
    bool is_directory() const { return S_ISDIR(info.st_mode); }
  };
  // `path` has no zeros, and no "/" at its begin and end. Never blocks for what is no regular file.
  Found open_beneath(const std::string& path, Links links) const;

  // The same without openat2(2), as systems other than Linux have to do it.
  UniqueFd open_beneath_by_steps(const std::string& path, Links links) const;

 private:
  explicit Directory(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace websockets
