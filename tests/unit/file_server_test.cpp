// SPDX-License-Identifier: MIT
#include "files/file_server.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "fake_responder.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class FileServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(root_ + "/folder");
    write("page.html", "0123456789");
    write("empty.txt", "");
    write(".hidden", "hidden");
    write("folder/index.html", "index");
  }

  void write(const std::string& path, std::string_view content) const { std::ofstream(root_ + "/" + path) << content; }

  FakeResponder answer(std::string_view target, const std::string& lines = {}, const std::string& method = "GET") {
    EXPECT_FALSE(server_.open(root_));
    FakeResponder responder(method, lines);
    was_answered_ = server_.answer(responder, target);
    EXPECT_EQ(was_answered_, responder.is_answered());
    return responder;
  }

  TemporaryFolder folder_;
  const std::string& root_ = folder_.path();
  FileServer server_;
  bool was_answered_ = false;
};

TEST_F(FileServerTest, OpensNoDirectoryThatIsNotThere) { EXPECT_TRUE(server_.open(root_ + "/nothing")); }

TEST_F(FileServerTest, SendsAFile) {
  server_.options.header_lines = "X-Frame-Options: DENY\r\n";
  server_.options.cache_control = "max-age=60";
  const FakeResponder got = answer("/page.html?query");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.body(), "0123456789");
  EXPECT_EQ(got.content_type(), "text/html; charset=utf-8");
  EXPECT_EQ(got.lines(), "X-Frame-Options: DENY\r\n");
  EXPECT_EQ(got.header("Cache-Control"), "max-age=60");
  EXPECT_EQ(got.header("Accept-Ranges"), "bytes");
  EXPECT_NE(got.header("ETag"), "none");
  EXPECT_NE(got.header("Last-Modified"), "none");
}

TEST_F(FileServerTest, SendsAnEmptyFile) {
  const FakeResponder got = answer("/empty.txt");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.body(), "");
}

TEST_F(FileServerTest, TypesOfTheOptionsComeFirst) {
  server_.options.types.emplace_back("HTML", "text/x-mine");
  EXPECT_EQ(answer("/page.html").content_type(), "text/x-mine");
}

TEST_F(FileServerTest, ADirectoryIsItsIndexOrLeadsToIt) {
  EXPECT_EQ(answer("/folder/").body(), "index");
  const FakeResponder got = answer("/folder?a=b");
  EXPECT_EQ(got.status(), 301);
  EXPECT_EQ(got.header("Location"), "folder/?a=b");
  EXPECT_EQ(answer("/").status(), 404);
}

TEST_F(FileServerTest, RefusesWhatItDoesNotServe) {
  EXPECT_EQ(answer("/nothing").status(), 404);
  EXPECT_EQ(answer("/.hidden").status(), 404);
  EXPECT_EQ(answer("/%zz").status(), 400);
  EXPECT_EQ(answer("/../secret").status(), 404);
  const FakeResponder got = answer("/page.html", {}, "DELETE");
  EXPECT_EQ(got.status(), 405);
  EXPECT_EQ(got.header("Allow"), "GET, HEAD");
  EXPECT_EQ(got.content_type(), "text/plain; charset=utf-8");
}

TEST_F(FileServerTest, ShowsHiddenFilesWhereItIsToldTo) {
  server_.options.shows_hidden = true;
  EXPECT_EQ(answer("/.hidden").body(), "hidden");
}

TEST_F(FileServerTest, LeavesToOthersWhatIsNotThere) {
  server_.options.falls_through = true;
  for (const char* target : {"/nothing", "/%zz"}) {
    answer(target);
    EXPECT_FALSE(was_answered_) << target;
  }
  answer("/page.html", {}, "POST");
  EXPECT_FALSE(was_answered_);
  answer("/page.html");
  EXPECT_TRUE(was_answered_);
}

TEST_F(FileServerTest, AFileThatTheClientHasIsNotSent) {
  const std::string etag = answer("/page.html").header("ETag");
  const FakeResponder got = answer("/page.html", "If-None-Match: " + etag + "\r\n");
  EXPECT_EQ(got.status(), 304);
  EXPECT_EQ(got.header("ETag"), etag);
  EXPECT_EQ(got.body(), "");
  EXPECT_EQ(answer("/page.html", "If-Match: \"another\"\r\n").status(), 412);
}

TEST_F(FileServerTest, SendsOneRange) {
  const FakeResponder got = answer("/page.html", "Range: bytes=2-4\r\n");
  EXPECT_EQ(got.status(), 206);
  EXPECT_EQ(got.body(), "234");
  EXPECT_EQ(got.header("Content-Range"), "bytes 2-4/10");
}

TEST_F(FileServerTest, SendsSeveralRangesInParts) {
  const FakeResponder got = answer("/page.html", "Range: bytes=0-0,8-\r\n");
  EXPECT_EQ(got.status(), 206);
  constexpr std::string_view kType = "multipart/byteranges; boundary=";
  ASSERT_TRUE(got.content_type().starts_with(kType));
  const std::string boundary = "--" + got.content_type().substr(kType.size());
  EXPECT_NE(got.body().find(boundary), std::string::npos);
  EXPECT_NE(got.body().find("Content-Range: bytes 0-0/10\r\n\r\n0\r\n"), std::string::npos);
  EXPECT_NE(got.body().find("Content-Range: bytes 8-9/10\r\n\r\n89\r\n"), std::string::npos);
  EXPECT_TRUE(got.body().ends_with(boundary + "--\r\n"));
}

TEST_F(FileServerTest, RefusesARangeThatIsNotThere) {
  const FakeResponder got = answer("/page.html", "Range: bytes=10-\r\n");
  EXPECT_EQ(got.status(), 416);
  EXPECT_EQ(got.header("Content-Range"), "bytes */10");
  EXPECT_EQ(answer("/page.html", "Range: bytes=10-\r\n", "HEAD").status(), 200);
}

TEST_F(FileServerTest, SendsWhatIsCompressedToWhoTakesIt) {
  write("page.html.gz", "compressed");
  const FakeResponder got = answer("/page.html", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(got.body(), "compressed");
  EXPECT_EQ(got.header("Content-Encoding"), "gzip");
  EXPECT_EQ(got.header("Vary"), "Accept-Encoding");
  EXPECT_EQ(got.content_type(), "text/html; charset=utf-8");
  EXPECT_EQ(answer("/page.html").body(), "0123456789");
}

TEST_F(FileServerTest, WhatIsOlderThanTheFileIsNotSentInItsPlace) {
  write("page.html.gz", "compressed");
  const auto before = std::filesystem::last_write_time(root_ + "/page.html") - std::chrono::hours(1);
  std::filesystem::last_write_time(root_ + "/page.html.gz", before);
  EXPECT_EQ(answer("/page.html", "Accept-Encoding: gzip\r\n").body(), "0123456789");
}

}  // namespace
}  // namespace websockets
