// SPDX-License-Identifier: MIT
#include "cluster/program_start.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "base/interrupted.h"
#include "base/open_descriptors.h"
#include "base/process_environment.h"
#include "net/pipe.h"

namespace websockets {
namespace {

// proc_pid_cmdline(5); other systems have no such file.
std::vector<std::string> command_line() {
  std::vector<std::string> command;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  for (std::string argument; std::getline(file, argument, '\0');) command.push_back(argument);
  return command;
}

bool is_here(const char* path) {
  struct stat there {};
  struct stat here {};
  return ::stat(path, &there) == 0 && ::stat(".", &here) == 0 && there.st_dev == here.st_dev &&
         there.st_ino == here.st_ino;
}

std::string working_directory() {
  const char* const entered = process_environment("PWD");
  if (entered != nullptr && entered[0] == '/' && is_here(entered)) return entered;
  std::error_code error;
  return std::filesystem::current_path(error);
}

struct Failure {
  int error;
  bool is_of_directory;
};

// What the new process needs, made before the fork: between that and exec(3) it may take no memory, as another thread
// may have been within malloc().
class Preparation {
 public:
  Preparation(const ProgramStart& start, const std::string& variable, int kept, int failure)
      : command_(start.command), directory_(start.directory), kept_(kept), failure_(failure) {
    const std::string assignment = variable + "=";
    for (char** each = environ; *each != nullptr; ++each) {
      const std::string_view text(*each);
      const bool is_ours = text.starts_with(assignment) || (!directory_.empty() && text.starts_with("PWD="));
      if (!is_ours) environment_.emplace_back(text);
    }
    environment_.push_back(assignment + std::to_string(kept));
    if (!directory_.empty()) environment_.push_back("PWD=" + directory_);
    arguments_ = pointers_to(command_);
    variables_ = pointers_to(environment_);
    for (const int fd : open_descriptors()) {
      if (fd > STDERR_FILENO && fd != kept) closed_.push_back(fd);
    }
  }

  // In the new process. Returns only when it fails: how.
  Failure execute() {
    // The caller has blocked all signals, so that none comes to a handler of his.
    for (int number = 1; number < NSIG; ++number) {
      struct sigaction action {};
      if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
        static_cast<void>(::signal(number, SIG_DFL));
      }
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int fd : closed_) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(kept_, F_SETFD, 0);
    if (!directory_.empty() && ::chdir(directory_.c_str()) != 0) return {errno, true};
    environ = variables_.data();
    ::execvp(arguments_[0], arguments_.data());
    return {errno, false};
  }

  [[noreturn]] void execute_or_tell() {
    const Failure failure = execute();
    static_cast<void>(retry_interrupted([&] { return ::write(failure_, &failure, sizeof failure); }));
    ::_exit(127);
  }

 private:
  static std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  std::vector<std::string> command_;
  std::string directory_;
  std::vector<std::string> environment_;
  std::vector<char*> arguments_;
  std::vector<char*> variables_;
  std::vector<int> closed_;
  int kept_;
  int failure_;
};

}  // namespace

const ProgramStart& program_start() {
  static const ProgramStart start{command_line(), working_directory()};
  return start;
}

Result<pid_t> start_program(const ProgramStart& start, const std::string& variable, int kept) {
  if (start.command.empty()) return Error{"it is not known by what command this program was started"};
  const std::string what = "'" + start.command[0] + "' cannot be started";
  Pipe failure;
  if (!failure.open(true)) return system_error(what);
  Preparation preparation(start, variable, kept, failure.writer.get());
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) preparation.execute_or_tell();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return system_error(what);
  failure.writer.reset();
  Failure how{};
  if (retry_interrupted([&] { return ::read(failure.reader.get(), &how, sizeof how); }) != sizeof how) return pid;
  retry_interrupted([&] { return ::waitpid(pid, nullptr, 0); });
  errno = how.error;
  return system_error(how.is_of_directory ? what + " in '" + start.directory + "'" : what);
}

}  // namespace websockets
