// SPDX-License-Identifier: MIT
// A pool of workers in processes of its own, and clients of it in this one.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "cluster/worker_pool.h"
#include "connection_fixture.h"
#include "forked.h"
#include "http/request.h"
#include "http/response.h"
#include "quiet_handler.h"
#include "server/context.h"

namespace websockets {

// Answers each request by the process's id, after it has done what the target says.
class PidHandler final : public QuietHandler {
 public:
  bool on_http(Connection& connection, const Request& request) override {
    action(std::string(request.target()));
    ResponseHead head;
    connection.http()->respond(head, as_bytes(std::to_string(::getpid())));
    return true;
  }

  std::function<void(const std::string& target)> action = [](const std::string&) {};
};

// Writes down what happens in the supervisor, each on a line of a pipe.
class FakePoolOwner final : public WorkerPoolOwner {
 public:
  FakePoolOwner(PidHandler& handler, int log) : handler_(handler), log_(log) {}

  Error on_worker(Worker& worker) override {
    handler_.action = [this, &worker](const std::string& target) { during_request(worker, target); };
    return during_start(worker);
  }
  int serve(Worker& worker) override { return worker.serve(); }
  void on_gap(int) override {}
  void on_worker_exit(int id, std::string_view why) override {
    note("exit of " + std::to_string(id) + ": " + std::string(why));
    during_exit();
  }
  void on_report(std::string_view text) override {
    note("report: " + std::string(text));
    during_report();
  }
  void note(std::string line) const {
    line += '\n';
    static_cast<void>(!::write(log_, line.data(), line.size()));
  }

  std::function<Error(Worker&)> during_start = [](Worker&) { return Error{}; };
  std::function<void(Worker&, const std::string& target)> during_request = [](Worker&, const std::string&) {};
  std::function<void()> during_exit = [] {};
  std::function<void()> during_report = [] {};

 private:
  PidHandler& handler_;
  int log_;
};

class SupervisorProcess {
 public:
  SupervisorProcess() {
    context_options.protocols = {"chat"};
    context_options.default_protocol = "chat";
    context_options.listen = {"127.0.0.1:0"};
    options.workers = 2;
  }
  // Nothing of it is left.
  ~SupervisorProcess() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGTERM);
    wait();
  }
  SupervisorProcess(const SupervisorProcess&) = delete;
  SupervisorProcess& operator=(const SupervisorProcess&) = delete;

  // `set_up` is called in the supervisor.
  void start(const std::function<void(WorkerPool&, FakePoolOwner&)>& set_up = [](WorkerPool&, FakePoolOwner&) {}) {
    std::array<int, 2> log{};
    ASSERT_EQ(::pipe(log.data()), 0);
    Result<std::unique_ptr<Context>> made = Context::create(context_options, handler_);
    ASSERT_TRUE(made) << made.error().text;
    context_ = std::move(*made);
    address_ = context_->address(0);
    static_cast<void>(std::fflush(nullptr));
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(log[0]);
      run_in_child([&] { return supervise(log[1], set_up); });
    }
    ::close(log[1]);
    log_.reset(log[0]);
    context_->listeners().abandon();
    context_.reset();
  }
  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  // Its exit status, or the negative number of the signal.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // The next line; empty: there will be none.
  std::string next_line() {
    std::string line;
    char byte = 0;
    while (::read(log_.get(), &byte, 1) == 1 && byte != '\n') line += byte;
    return line;
  }

  PidHandler& handler() { return handler_; }
  static int count_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  }

  UniqueFd connect() const {
    UniqueFd client(::socket(address_.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(client.get(), address_.get(), address_.size) != 0) return {};
    return client;
  }
  static void request(int client, const std::string& target) {
    const std::string text = "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static_cast<void>(!::send(client, text.data(), text.size(), MSG_NOSIGNAL));
  }
  // Who has answered; 0: nobody.
  static pid_t answer(int client) {
    std::string text;
    std::array<char, 4096> piece;
    for (;;) {
      const ssize_t count = ::recv(client, piece.data(), piece.size(), 0);
      if (count <= 0) break;
      text.append(piece.data(), static_cast<std::size_t>(count));
    }
    const std::size_t body = text.find("\r\n\r\n");
    return body == std::string::npos ? 0 : std::atoi(text.c_str() + body + 4);
  }
  pid_t ask(const std::string& target = "/") const {
    const UniqueFd client = connect();
    if (!client) return 0;
    request(client.get(), target);
    return answer(client.get());
  }

  ContextOptions context_options;
  WorkerPoolOptions options;
  std::function<Deployment*(const FakePoolOwner&)> deployment = [](const FakePoolOwner&) { return nullptr; };

 private:
  bool supervise(int log, const std::function<void(WorkerPool&, FakePoolOwner&)>& set_up) {
    if (context_->take_over()) return false;
    FakePoolOwner owner(handler_, log);
    options.deployment = deployment(owner);
    const int before = count_descriptors();
    Result<WorkersEnd> end = run(owner, set_up);
    // Of the context only its listeners, where it is as it was.
    const int left = count_descriptors() - before;
    if (end ? left > 0 : left > 4) owner.note("descriptors are left: " + std::to_string(left));
    owner.note(end ? "end: " + std::to_string(end->signal) + (end->was_cut_short ? " cut short" : "")
                   : "error " + std::to_string(end.error().code) + ": " + end.error().text);
    return true;
  }
  Result<WorkersEnd> run(FakePoolOwner& owner, const std::function<void(WorkerPool&, FakePoolOwner&)>& set_up) {
    WorkerPool pool(*context_, options, owner);
    set_up(pool, owner);
    return pool.run();
  }

  PidHandler handler_;
  std::unique_ptr<Context> context_;
  SocketAddress address_;
  UniqueFd log_;
  pid_t pid_ = 0;
};

}  // namespace websockets
