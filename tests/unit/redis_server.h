// SPDX-License-Identifier: MIT
// Real Redis servers and sentinels, each a process of its own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/byte_buffer.h"
#include "base/unique_fd.h"
#include "cluster/redis_protocol.h"
#include "made_certificate.h"
#include "net/listener.h"
#include "net/socket_address.h"
#include "temporary_folder.h"

namespace websockets {

// A connection that waits for its replies, for what a test does at a server.
class RedisClient {
 public:
  explicit RedisClient(UniqueFd fd) : fd_(std::move(fd)) {}

  RedisReply ask(std::span<const std::string_view> command) {
    ByteBuffer bytes;
    append_redis_command(bytes, command);
    if (::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("a Redis server takes no command");
    }
    return reply();
  }
  RedisReply ask(std::initializer_list<std::string_view> command) {
    return ask(std::span<const std::string_view>(command.begin(), command.size()));
  }
  RedisReply reply() {
    RedisReply reply;
    for (;;) {
      std::span<const std::uint8_t> rest(buffer_.data() + begin_, end_ - begin_);
      const RedisReplyReader::Status status = reader_.read(rest, reply);
      begin_ = end_ - rest.size();
      if (status == RedisReplyReader::Status::kReply) return reply;
      const ssize_t got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
      if (status != RedisReplyReader::Status::kMore || got <= 0) throw std::runtime_error("a Redis server is gone");
      begin_ = 0;
      end_ = static_cast<std::size_t>(got);
    }
  }

 private:
  UniqueFd fd_;
  RedisReplyReader reader_{1U << 20U};
  std::array<std::uint8_t, 4096> buffer_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class RedisServer {
 public:
  enum class Kind : std::uint8_t { kPlain, kTls, kSentinel };

  // Takes clients when this returns. `arguments`: as on its command line; of a sentinel, lines of its file.
  explicit RedisServer(std::vector<std::string> arguments = {}, Kind kind = Kind::kPlain)
      : kind_(kind), arguments_(std::move(arguments)) {
    if (kind_ == Kind::kTls) {
      MadeCertificate({.name = "redis", .alternatives = "IP:127.0.0.1", .is_authority = true}).write(certificate());
    }
    // Another process may take the port before the server does.
    do {
      port_ = free_port();
    } while (!start());
  }
  ~RedisServer() { kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string place() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string unix_path() const { return folder_.path() + "/socket"; }
  // Of TLS; signs itself.
  std::string certificate() const { return folder_.path() + "/certificate.pem"; }

  // What an operator does, as the user `default`.
  RedisReply ask(std::initializer_list<std::string_view> command) {
    RedisClient client(connect());
    if (!password.empty()) client.ask({"AUTH", password});
    return client.ask(command);
  }
  std::string password;  // of that user

  // What is behind a name in a section of its INFO; 0: it is not there.
  int number(std::string_view section, std::string_view name) {
    const std::string text = ask({"INFO", section}).text;
    const std::size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + name.size());
  }
  // How many connections it has, without that which asks.
  std::size_t count_clients(std::string_view type = "normal") {
    const std::string list = ask({"CLIENT", "LIST", "TYPE", type}).text;
    const auto lines = static_cast<std::size_t>(std::count(list.begin(), list.end(), '\n'));
    return type == "normal" ? lines - 1 : lines;
  }

  void suspend() const { ::kill(pid_, SIGSTOP); }
  void resume() const { ::kill(pid_, SIGCONT); }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
  }
  // At the same place.
  void restart() {
    kill();
    while (!start()) {
    }
  }

 private:
  static std::uint16_t free_port() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
    const SocketAddress any = *literal_address("127.0.0.1", 0);
    if (::bind(fd.get(), any.get(), any.size) != 0) throw std::runtime_error("there is no free port");
    return local_address(fd.get()).port();
  }

  std::vector<std::string> command_line() const {
    const std::string port = std::to_string(port_);
    if (kind_ == Kind::kSentinel) {
      const std::string file = folder_.path() + "/sentinel.conf";
      std::ofstream to(file);
      to << "port " << port << "\nbind 127.0.0.1\ndir " << folder_.path() << "\n";
      for (const std::string& line : arguments_) to << line << "\n";
      return {"redis-server", file, "--sentinel"};
    }
    std::vector<std::string> line = {"redis-server",
                                     "--bind",
                                     "127.0.0.1",
                                     "--port",
                                     port,
                                     "--dir",
                                     folder_.path(),
                                     "--save",
                                     "",
                                     "--appendonly",
                                     "no",
                                     "--daemonize",
                                     "no",
                                     "--databases",
                                     "4",
                                     "--unixsocket",
                                     unix_path(),
                                     "--repl-diskless-sync-delay",
                                     "0"};
    if (kind_ == Kind::kTls) {
      line[4] = "0";
      line.insert(line.end(), {"--tls-port", port, "--tls-cert-file", certificate(), "--tls-key-file", certificate(),
                               "--tls-ca-cert-file", certificate(), "--tls-auth-clients", "no"});
    }
    line.insert(line.end(), arguments_.begin(), arguments_.end());
    return line;
  }

  // False: it has ended, maybe as the port was not free.
  bool start() {
    ::unlink(unix_path().c_str());
    std::vector<std::string> line = command_line();
    std::vector<char*> arguments;
    for (std::string& argument : line) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const std::string log = folder_.path() + "/log";
    pid_ = ::fork();
    if (pid_ == 0) {
#ifdef __linux__
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
      const int to = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(to, 1);
      ::dup2(to, 2);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (;;) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
          throw std::runtime_error("redis-server is missing: script/setup installs it");
        }
        std::ifstream from(log);
        const std::string text((std::istreambuf_iterator<char>(from)), {});
        if (text.find("Address already in use") != std::string::npos) return false;
        throw std::runtime_error("redis-server has ended: " + text);
      }
      if (takes_clients()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  bool takes_clients() const {
    UniqueFd fd = connect();
    if (!fd) return false;
    // Anything that it says will do.
    constexpr std::string_view kPing = "PING\r\n";
    char byte = 0;
    return ::send(fd.get(), kPing.data(), kPing.size(), MSG_NOSIGNAL) > 0 && ::recv(fd.get(), &byte, 1, 0) == 1;
  }
  UniqueFd connect() const {
    const SocketAddress address =
        kind_ == Kind::kSentinel ? *literal_address("127.0.0.1", port_) : *unix_address(unix_path());
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), address.get(), address.size) != 0) fd.reset();
    return fd;
  }

  const TemporaryFolder folder_;
  const Kind kind_;
  const std::vector<std::string> arguments_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace websockets
