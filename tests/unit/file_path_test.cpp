// SPDX-License-Identifier: MIT
#include "files/file_path.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace websockets {
namespace {

std::string resolved(std::string_view target, bool shows_hidden = false) {
  const FilePath path = resolve_file_path(target, shows_hidden);
  if (path.status != 0) return std::to_string(path.status);
  return path.path + (path.is_directory ? "/" : "");
}

TEST(FilePath, LeadsToFilesAndDirectories) {
  EXPECT_EQ(resolved("/"), "/");
  EXPECT_EQ(resolved("/?a=/b/../c"), "/");
  EXPECT_EQ(resolved("/a"), "a");
  EXPECT_EQ(resolved("/a/"), "a/");
  EXPECT_EQ(resolved("/a/b.c?x"), "a/b.c");
  EXPECT_EQ(resolved("/a/b/"), "a/b/");
  EXPECT_EQ(resolved("/a."), "a.");
  EXPECT_EQ(resolved("/a..b"), "a..b");
  EXPECT_EQ(resolved("http://host/a/b?c"), "a/b");
  EXPECT_EQ(resolved("http://host"), "/");
  EXPECT_EQ(resolved("http://host?x"), "/");
}

TEST(FilePath, DecodesOnce) {
  EXPECT_EQ(resolved("/%61%2E%62"), "a.b");
  EXPECT_EQ(resolved("/%c3%a4+%20"), "\xc3\xa4+ ");
  EXPECT_EQ(resolved("/%252e%252e"), "%2e%2e");
  EXPECT_EQ(resolved("/a%3fb"), "a?b");
}

TEST(FilePath, IsMalformed) {
  for (const std::string_view target :
       {"a", "*", "%2f", "/%", "/%2", "/%zz", "/a%2/b", "/%2g", "/a/%%", "/%00", "/a%00b", "/a/%00/b", "file:/a"}) {
    EXPECT_EQ(resolved(target), "400") << target;
  }
}

TEST(FilePath, NamesNoFile) {
  for (const std::string_view target :
       {"//",    "//a",     "/a//b",  "/a//",  "/.",      "/..",     "/./",     "/../",
        "/a/..", "/a/../b", "/a/./b", "/%2e",  "/%2e%2e", "/.%2E/a", "/%2f",    "/a%2fb",
        "/%5c",  "/a\\b",   "/\\",    "/a%0a", "/%7f",    "/a\x01",  "/..%2fa", "/%2e%2e%5ca"}) {
    EXPECT_EQ(resolved(target), "404") << target;
    EXPECT_EQ(resolved(target, true), "404") << target;
  }
}

TEST(FilePath, HidesNamesWithADotInFront) {
  for (const std::string_view target : {"/.a", "/a/.b", "/a/.b/c", "/.git/config", "/...", "/%2ea", "/a/.well-known",
                                        "/.well-known/.a", "/.well-knownx"}) {
    EXPECT_EQ(resolved(target), "404") << target;
    EXPECT_NE(resolved(target, true), "404") << target;
  }
  EXPECT_EQ(resolved("/.well-known/a"), ".well-known/a");
  EXPECT_EQ(resolved("/.well-known"), ".well-known");
}

TEST(DirectoryReference, IsTheLastNameAndTheQuery) {
  EXPECT_EQ(directory_reference("/a"), "a/");
  EXPECT_EQ(directory_reference("/a/b%20c?d=/e?f"), "b%20c/?d=/e?f");
  EXPECT_EQ(directory_reference("/a?"), "a/?");
  EXPECT_EQ(directory_reference("/a?b\r\nc: d\xff"), "a/?b%0D%0Ac:%20d%FF");
  EXPECT_EQ(directory_reference("http://host/a"), "a/");
  // None of these may look like a scheme, a host or another path.
  EXPECT_EQ(directory_reference("/a:b"), "a%3Ab/");
  EXPECT_EQ(directory_reference("/\\evil"), "%5Cevil/");
  EXPECT_EQ(directory_reference("/a\xff\"<"), "a%FF%22%3C/");
}

}  // namespace
}  // namespace websockets
