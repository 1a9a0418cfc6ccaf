// SPDX-License-Identifier: MIT
#include "cluster/new_version.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/open_descriptors.h"
#include "cluster/listener_handover.h"
#include "context_fixture.h"
#include "temporary_folder.h"

namespace websockets {
namespace {

constexpr const char* kTask = "WEBSOCKETS_TEST_TASK";
constexpr int kOtherDescriptor = 200;
constexpr std::size_t kMany = 500;

// What the new version is in these tests: this program once more, which does its task and ends before its tests begin.
bool does_task() {
  const char* const task = std::getenv(kTask);
  if (task == nullptr) return false;
  const std::string name = task;
  ListenerHandover* const handover = ListenerHandover::of_process();
  if (handover == nullptr || std::getenv(ListenerHandover::kVariable) != nullptr) ::_exit(1);
  const std::vector<Listener> listeners = handover->take(name.substr(name.find(' ') + 1));
  if (name.starts_with("many ") && listeners.size() == kMany) handover->ready();
  if (listeners.size() != 1) ::_exit(2);
  for (const int fd : open_descriptors()) {
    if (fd >= kOtherDescriptor) ::_exit(3);
  }
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  if (::sigismember(&blocked, SIGTERM) != 0) ::_exit(4);
  if (name.starts_with("ready ")) handover->ready();
  if (name.starts_with("fail ")) handover->fail("it does not like this");
  if (name.starts_with("hang ")) ::pause();
  ::_exit(5);
}

[[maybe_unused]] const bool kIsTask = does_task();

class NewVersionTest : public ContextFixture, public NewVersionOwner {
 protected:
  void on_new_version_ready(pid_t pid) override { ready_ = pid; }
  void on_new_version_failed(const std::string& why) override { failed_ = why; }

  // This program once more, with a task.
  ~NewVersionTest() override { ::unsetenv(kTask); }
  ProgramStart itself(const std::string& task) {
    ::setenv(kTask, (task + " " + context->listeners().acceptors(0)[0]->listener().name).c_str(), 1);
    return {{std::filesystem::read_symlink("/proc/self/exe").string()}, {}};
  }
  void serve_until_told() {
    while (ready_ == 0 && failed_.empty()) context->service(-1);
  }
  Error start(const ProgramStart& program) { return version_.start(program, context->listeners(), context->loop()); }
  std::string failure_of(const ProgramStart& program) {
    failed_.clear();
    const Error error = start(program);
    EXPECT_FALSE(error) << error.text;
    serve_until_told();
    EXPECT_EQ(ready_, 0);
    EXPECT_FALSE(version_.is_starting());
    return failed_;
  }

  NewVersion version_{*this};
  pid_t ready_ = 0;
  std::string failed_;
};

TEST_F(NewVersionTest, GetsTheListenersAndNothingElse) {
  create();
  const int other = ::fcntl(STDIN_FILENO, F_DUPFD, kOtherDescriptor);
  const Error error = start(itself("ready"));
  ASSERT_FALSE(error) << error.text;
  EXPECT_TRUE(version_.is_starting());
  serve_until_told();
  EXPECT_GT(ready_, 0) << failed_;
  EXPECT_FALSE(version_.is_starting());
  ::close(other);
}

// More of them than a socket takes messages.
TEST_F(NewVersionTest, GetsAsManyListenersAsThereAre) {
  create();
  const Error opened = context->listeners().open_slots(options, kMany);
  ASSERT_FALSE(opened) << opened.text;
  const Error error = start(itself("many"));
  ASSERT_FALSE(error) << error.text;
  serve_until_told();
  EXPECT_GT(ready_, 0) << failed_;
}

TEST_F(NewVersionTest, TellsWhyItFailed) {
  create();
  EXPECT_EQ(failure_of(itself("fail")), "it does not like this");
  EXPECT_EQ(failure_of(itself("end")), "exit 5");
  EXPECT_EQ(failure_of({{"/bin/sh", "-c", "exit 3"}, {}}), "exit 3");
  EXPECT_EQ(failure_of({{"sh", "-c", "kill -9 $$"}, {}}), "signal 9 (Killed)");
  EXPECT_TRUE(connect()) << "it listens as before";
}

TEST_F(NewVersionTest, CannotBeStarted) {
  create();
  EXPECT_EQ(start({{"/no/such/program"}, {}}).code, ENOENT);
  const Error error = start({{"/bin/true"}, "/no/such/folder"});
  EXPECT_EQ(error.code, ENOENT);
  EXPECT_NE(error.text.find("'/bin/true' cannot be started in '/no/such/folder'"), std::string::npos) << error.text;
  EXPECT_TRUE(start({}));
  EXPECT_FALSE(version_.is_starting());
}

TEST_F(NewVersionTest, IsStartedInItsDirectory) {
  create();
  const TemporaryFolder folder;
  EXPECT_EQ(failure_of({{"/bin/sh", "-c", "pwd >where"}, folder.path()}), "exit 0");
  std::ifstream file(folder.path() + "/where");
  std::string where;
  std::getline(file, where);
  EXPECT_EQ(where, folder.path());
}

TEST_F(NewVersionTest, IsStartedOnceAtATime) {
  create();
  ASSERT_FALSE(start(itself("hang")));
  EXPECT_EQ(start(itself("ready")).code, EALREADY);
  version_.cancel();
  serve_until_told();
  EXPECT_EQ(failed_, "signal 15 (Terminated)");
}

}  // namespace
}  // namespace websockets
