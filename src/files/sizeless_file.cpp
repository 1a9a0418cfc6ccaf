// SPDX-License-Identifier: MIT
#include "files/sizeless_file.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/interrupted.h"

namespace websockets {
namespace {

constexpr std::size_t kMostBytes = 16U << 20U;
constexpr std::size_t kPieceBytes = 16U << 10U;

}  // namespace

Result<std::optional<std::string>> read_sizeless(int file, off_t size) {
  static const long page_bytes = ::sysconf(_SC_PAGESIZE);
  std::string content;
  if (size != 0 && size != page_bytes) return std::optional<std::string>();
  std::array<char, kPieceBytes> piece;
  for (ssize_t got = 1; got > 0;) {
    got = retry_interrupted(
        [&] { return ::pread(file, piece.data(), piece.size(), static_cast<off_t>(content.size())); });
    if (got < 0) return system_error("the file cannot be read");
    content.append(piece.data(), static_cast<std::size_t>(got));
    if (content.size() > kMostBytes) return Error{"the file is too long", EFBIG};
  }
  const bool is_sizeless = content.size() != static_cast<std::size_t>(size);
  return is_sizeless ? std::optional(std::move(content)) : std::nullopt;
}

}  // namespace websockets
