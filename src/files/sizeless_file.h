// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace websockets {

// The content of a regular file whose size is not what reading it gives: that of file systems such as /proc and /sys,
// which make it up when it is read, and call it empty, or a page long. nullopt: the file is as long as `size` says.
// Error: it cannot be read, or is longer than what may be kept in memory.
Result<std::optional<std::string>> read_sizeless(int file, off_t size);

}  // namespace websockets
