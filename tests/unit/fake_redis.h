// SPDX-License-Identifier: MIT
// A Redis server in the hands of the test: for what a real one does not do on demand.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/redis_protocol.h"
#include "dial_servers.h"
#include "failing_allocations.h"
#include "socket_pairs.h"

namespace websockets {

class FakeRedis {
 public:
  using Command = std::vector<std::string>;

  // One connection of a client.
  class Client {
   public:
    explicit Client(UniqueFd fd) : fd_(std::move(fd)) { make_nonblocking(fd_.get()); }

    void say(std::string_view text) const {
      const FailingAllocation::Pause pause;
      static_cast<void>(!::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL));
    }
    void close() { fd_.reset(); }
    void reset() { close_with_reset(fd_); }
    bool is_open() const { return static_cast<bool>(fd_); }
    // Nothing is read, nor answered.
    bool is_stalled = false;
    std::vector<Command> commands;  // that have come
    std::size_t channels = 0;

   private:
    friend class FakeRedis;
    UniqueFd fd_;
    RedisReplyReader reader_{64U << 20U};
  };

  static std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
  }
  static std::string message(std::string_view channel, std::string_view payload) {
    return "*3\r\n" + bulk("message") + bulk(channel) + bulk(payload);
  }
  static std::string usual_answer(Client& client, const Command& command) {
    const std::string& name = command[0];
    if (name == "AUTH" || name == "SELECT") return "+OK\r\n";
    if (name == "ROLE") return "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
    if (name == "INFO") return bulk("# Replication\r\nrole:master\r\nmaster_replid:0123456789abcdef\r\nx:y\r\n");
    if (name == "PING") return client.channels > 0 ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n";
    if (name == "SUBSCRIBE" || name == "UNSUBSCRIBE") {
      std::string all;
      for (std::size_t i = 1; i < command.size(); ++i) {
        client.channels += name == "SUBSCRIBE" ? 1U : 0U;
        all += "*3\r\n" + bulk(name == "SUBSCRIBE" ? "subscribe" : "unsubscribe") + bulk(command[i]) + ":1\r\n";
      }
      return all;
    }
    return ":0\r\n";
  }

  std::uint16_t port() const { return server_.address().port(); }
  std::string place() const { return "127.0.0.1:" + std::to_string(port()); }

  // Answers what has come.
  void serve() {
    const FailingAllocation::Pause pause;
    for (Accepted accepted = server_.accept(); accepted.fd; accepted = server_.accept()) {
      clients.emplace_back(std::move(accepted.fd));
    }
    for (Client& client : clients) {
      while (client.is_open() && !client.is_stalled && serve(client)) {
      }
    }
  }

  std::list<Client> clients;
  // Nothing: no answer.
  std::function<std::optional<std::string>(Client&, const Command&)> answer = usual_answer;
  std::size_t count_open() const {
    std::size_t count = 0;
    for (const Client& client : clients) count += client.is_open() ? 1U : 0U;
    return count;
  }
  // All of all clients, by name; without what is of the greeting, and probes.
  std::vector<Command> commands(std::string_view name) const {
    std::vector<Command> all;
    for (const Client& client : clients) {
      for (const Command& command : client.commands) {
        if (command[0] == name) all.push_back(command);
      }
    }
    return all;
  }

 private:
  bool serve(Client& client) {
    std::array<std::uint8_t, 65536> buffer;
    const ssize_t got = ::recv(client.fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) client.close();
    if (got <= 0) return false;
    std::span<const std::uint8_t> rest(buffer.data(), static_cast<std::size_t>(got));
    RedisReply command;
    while (client.is_open() && client.reader_.read(rest, command) == RedisReplyReader::Status::kReply) {
      Command parts;
      for (RedisReply& part : command.elements) parts.push_back(std::move(part.text));
      client.commands.push_back(parts);
      const std::optional<std::string> said = answer(client, parts);
      if (said && client.is_open()) client.say(*said);
    }
    return true;
  }

  Server server_;
};

}  // namespace websockets
