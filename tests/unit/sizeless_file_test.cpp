// SPDX-License-Identifier: MIT
#include "files/sizeless_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/unique_fd.h"

namespace websockets {
namespace {

TEST(SizelessFile, LeavesAFileThatIsAsLongAsItSays) {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, page_bytes, page_bytes + 1}) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
    const std::string text(size, 'x');
    ASSERT_EQ(std::fwrite(text.data(), 1, size, file.get()), size);
    ASSERT_EQ(std::fflush(file.get()), 0);
    const Result<std::optional<std::string>> read = read_sizeless(::fileno(file.get()), static_cast<off_t>(size));
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_FALSE(*read) << size;
  }
}

TEST(SizelessFile, ReadsOneThatHasMoreOrLess) {
  const UniqueFd file(::open("/proc/version", O_RDONLY));
  ASSERT_TRUE(file);
  std::stringstream text;
  text << std::ifstream("/proc/version").rdbuf();
  for (const off_t size : {off_t{0}, off_t{::sysconf(_SC_PAGESIZE)}}) {
    const Result<std::optional<std::string>> read = read_sizeless(file.get(), size);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(*read, text.str());
  }
}

TEST(SizelessFile, SaysWhyItCannotBeRead) {
  const UniqueFd folder(::open("/", O_RDONLY));
  EXPECT_EQ(read_sizeless(folder.get(), 0).error().code, EISDIR);
  const UniqueFd endless(::open("/dev/zero", O_RDONLY));
  EXPECT_EQ(read_sizeless(endless.get(), 0).error().code, EFBIG);
}

}  // namespace
}  // namespace websockets
