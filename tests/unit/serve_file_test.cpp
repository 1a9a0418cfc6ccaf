// SPDX-License-Identifier: MIT
#include "files/serve_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "fake_responder.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

class ServeFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(root_ + "/file") << "0123456789";
    ::mkfifo((root_ + "/pipe").c_str(), 0600);
  }

  TemporaryFolder folder_;
  const std::string& root_ = folder_.path();
};

TEST_F(ServeFileTest, SendsARegularFile) {
  for (const char* method : {"GET", "HEAD"}) {
    FakeResponder responder(method, {});
    EXPECT_TRUE(serve_file(responder, (root_ + "/file").c_str(), "text/x-digits"));
    EXPECT_EQ(responder.status(), 200);
    EXPECT_EQ(responder.content_type(), "text/x-digits");
    EXPECT_EQ(responder.body(), "0123456789");
  }
}

TEST_F(ServeFileTest, SendsAFileThatDoesNotTellItsSize) {
  FakeResponder responder("GET", {});
  EXPECT_TRUE(serve_file(responder, "/proc/self/comm", "text/plain"));
  EXPECT_FALSE(responder.body().empty());
}

TEST_F(ServeFileTest, WhatIsNoRegularFileIsNotThere) {
  for (const std::string& path : {root_ + "/nothing", root_ + "/pipe", root_, std::string("/dev/null")}) {
    FakeResponder responder("GET", {});
    EXPECT_FALSE(serve_file(responder, path.c_str(), "text/plain"));
    EXPECT_EQ(responder.status(), 404) << path;
    EXPECT_EQ(responder.body(), "There is nothing here.\n");
  }
}

TEST_F(ServeFileTest, OnlyGetAndHeadAreAllowed) {
  FakeResponder responder("POST", {});
  EXPECT_FALSE(serve_file(responder, (root_ + "/file").c_str(), "text/plain"));
  EXPECT_EQ(responder.status(), 405);
  EXPECT_EQ(responder.header("Allow"), "GET, HEAD");
}

}  // namespace
}  // namespace websockets
