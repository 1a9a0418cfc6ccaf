// SPDX-License-Identifier: MIT
#include "files/directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace websockets {
namespace {

using Links = Directory::Links;

// outside/secret, outside/base/…: files hold their own names, without what is in front of the last "/".
class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(root_ + "/a/b");
    for (const char* path : {"/secret", "/base/file", "/base/a/file", "/base/a/b/file"}) {
      std::ofstream(outside_ + path) << std::filesystem::path(path).filename().string();
    }
    link("../secret", "up");
    link(outside_ + "/secret", "absolute");
    link("..", "parent");
    link("a/../../secret", "zigzag");
    link("circle", "circle");
    link("nowhere", "nowhere");
    link("a/b/", "inside");
    link("../file", "a/back");
    link("./a/./b/../file", "detour");
    link("inside/file", "twice");
    link("a", "dotted.");
    ::mkfifo((root_ + "/pipe").c_str(), 0600);
  }

  void link(const std::string& target, const std::string& name) {
    std::filesystem::create_symlink(target, root_ + "/" + name);
  }

  static std::string contents(const UniqueFd& file) {
    if (!file) return "none";
    std::array<char, 100> bytes;
    const ssize_t size = ::read(file.get(), bytes.data(), bytes.size());
    return size < 0 ? "directory" : std::string(bytes.data(), static_cast<std::size_t>(size));
  }

  // Both ways have to come to the same.
  std::string found(const std::string& path, Links links) {
    Result<Directory> directory = Directory::open(root_);
    EXPECT_TRUE(directory);
    const std::string way = contents(directory->open_beneath(path, links).file);
    EXPECT_EQ(contents(directory->open_beneath_by_steps(path, links)), way) << path;
    return way;
  }

  TemporaryFolder folder_;
  const std::string& outside_ = folder_.path();
  const std::string root_ = outside_ + "/base";
};

TEST_F(DirectoryTest, FindsFilesAndDirectories) {
  for (const Links links : {Links::kRefused, Links::kFollowed}) {
    for (const char* path : {"file", "a/file", "a/b/file"}) EXPECT_EQ(found(path, links), "file") << path;
    EXPECT_EQ(found("a", links), "directory");
    EXPECT_EQ(found("a/b", links), "directory");
    for (const char* path : {"none", "a/none", "none/file", "file/none"}) EXPECT_EQ(found(path, links), "none") << path;
  }
}

TEST_F(DirectoryTest, FindsNothingElse) {
  Result<Directory> directory = Directory::open(root_);
  ASSERT_TRUE(directory);
  const Directory::Found pipe = directory->open_beneath("pipe", Links::kRefused);
  EXPECT_FALSE(pipe.file);
  EXPECT_EQ(pipe.error, ENOENT);
}

TEST_F(DirectoryTest, IsNotLeft) {
  const std::string absolute = outside_ + "/secret";
  for (const Links links : {Links::kRefused, Links::kFollowed}) {
    for (const std::string& path :
         {std::string("../secret"), std::string("a/../../secret"), std::string("up"), std::string("absolute"),
          std::string("parent/secret"), std::string("parent"), std::string("zigzag"), std::string("circle"),
          std::string("nowhere"), std::string("parent/base/file")}) {
      EXPECT_EQ(found(path, links), "none") << path;
    }
  }
}

TEST_F(DirectoryTest, FollowsLinksInsideWhenToldSo) {
  for (const char* path : {"inside/file", "a/back", "detour", "twice", "dotted./file", "inside/../file"}) {
    EXPECT_EQ(found(path, Links::kFollowed), "file") << path;
    EXPECT_EQ(found(path, Links::kRefused), "none") << path;
  }
  EXPECT_EQ(found("inside", Links::kFollowed), "directory");
}

TEST_F(DirectoryTest, StaysTheSameWhenItIsMoved) {
  Result<Directory> directory = Directory::open(root_);
  ASSERT_TRUE(directory);
  std::filesystem::rename(root_, outside_ + "/moved");
  EXPECT_EQ(contents(directory->open_beneath("file", Links::kRefused).file), "file");
  std::filesystem::rename(outside_ + "/moved", root_);
}

TEST_F(DirectoryTest, IsADirectory) {
  EXPECT_FALSE(Directory::open(root_ + "/file"));
  EXPECT_FALSE(Directory::open(root_ + "/none"));
  EXPECT_TRUE(Directory::open(root_ + "/inside"));
}

}  // namespace
}  // namespace websockets
