// SPDX-License-Identifier: MIT
// A Redis that knows the scripts of topics with a history only, and does each thing when the test says so: it takes a
// command, its reply arrives, a published message arrives.
#pragma once

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/history_script.h"
#include "cluster/redis_commands.h"

namespace websockets {

class FakeHistoryRedis final : public RedisCommands {
 public:
  struct Entry {
    std::uint64_t offset;
    std::string header;
    std::string data;
    std::string name;  // that its publisher has given it
  };
  struct History {
    std::string epoch;
    std::uint64_t top = 0;
    std::deque<Entry> entries;
  };
  struct Arrival {  // by the subscription
    std::string channel;
    std::optional<std::string> payload;  // nothing: the channel was subscribed to
  };

  bool is_up = false;
  bool is_full = false;
  int evals = 0;
  int reads = 0;
  std::map<std::string, History> histories;  // by the key of the stream
  std::deque<Arrival> arrivals;

  bool send(std::span<const std::string_view> command, OnReply on_reply) override {
    if (!is_up || is_full) return false;
    sent_.push_back({std::vector<std::string>(command.begin(), command.end()), std::move(on_reply)});
    return true;
  }

  void subscribe(const std::string& channel) {
    channels_.insert(channel);
    arrivals.push_back({channel, std::nullopt});
  }
  void unsubscribe(const std::string& channel) {
    channels_.erase(channel);
    std::erase_if(arrivals, [&](const Arrival& one) { return one.channel == channel; });
  }
  void set_subscriptions(std::set<std::string> channels) { channels_ = std::move(channels); }

  std::size_t sent() const { return sent_.size(); }
  std::size_t replies() const { return replies_.size(); }
  // Takes the oldest command.
  void execute() {
    Command command = std::move(sent_.front());
    sent_.pop_front();
    RedisReply reply = run(command.words);
    replies_.emplace_back(std::move(command.on_reply), std::move(reply));
  }
  // It does not take it.
  void refuse(const std::string& error) {
    replies_.emplace_back(std::move(sent_.front().on_reply), RedisReply{RedisReply::Type::kError, 0, error, {}});
    sent_.pop_front();
  }
  // The oldest reply arrives.
  void reply() {
    auto [on_reply, reply] = std::move(replies_.front());
    replies_.pop_front();
    if (on_reply) on_reply(&reply);
  }
  // Both connections are lost, with what was on the way, behind so many commands.
  void cut(std::size_t taken) {
    is_up = false;
    while (taken-- > 0 && !sent_.empty()) execute();
    arrivals.clear();
    channels_.clear();
    std::deque<OnReply> lost;
    for (auto& [on_reply, reply] : replies_) lost.push_back(std::move(on_reply));
    for (Command& command : sent_) lost.push_back(std::move(command.on_reply));
    replies_.clear();
    sent_.clear();
    for (OnReply& on_reply : lost) {
      if (on_reply) on_reply(nullptr);
    }
  }
  void forget_scripts() { scripts_.clear(); }

  // What another process publishes, at once.
  std::uint64_t publish(const std::string& key, const std::string& channel, std::string_view epoch, std::size_t size,
                        const std::string& header, const std::string& data, const std::string& name = {}) {
    History& history = histories[key];
    if (history.epoch.empty()) history = {std::string(epoch), 0, {}};
    const std::uint64_t offset = ++history.top;
    history.entries.push_back({offset, header, data, name});
    if (history.entries.size() > size) history.entries.pop_front();
    if (channels_.contains(channel)) {
      const std::string line = header.substr(0, header.size() - 1) + " " + history.epoch + " " + std::to_string(offset);
      arrivals.push_back({channel, line + "\n" + data});
    }
    return offset;
  }

 private:
  struct Command {
    std::vector<std::string> words;
    OnReply on_reply;
  };

  static RedisReply text(std::string value) { return {RedisReply::Type::kString, 0, std::move(value), {}}; }
  static std::string hash_of(std::string_view script) {
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(reinterpret_cast<const unsigned char*>(script.data()), script.size(), digest.data());
    std::string hash;
    for (const unsigned char byte : digest) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      hash.append({kDigits[byte >> 4U], kDigits[byte & 15U]});
    }
    return hash;
  }

  RedisReply run(const std::vector<std::string>& words) {
    const bool is_eval = words[0] == "EVAL";
    const std::string hash = is_eval ? hash_of(words[1]) : words[1];
    if (is_eval) {
      ++evals;
      scripts_.insert(hash);
    } else if (!scripts_.contains(hash)) {
      return {RedisReply::Type::kError, 0, "NOSCRIPT No matching script. Please use EVAL.", {}};
    }
    const std::span<const std::string> keys(words.data() + 3, 2);
    const std::span<const std::string> arguments(words.data() + 5, words.size() - 5);
    if (hash == hash_of(kHistoryReadScript)) return read(keys[0], arguments);
    if (arguments[7] == "1" && has(keys[0], arguments[6])) return text("0");
    const std::uint64_t offset = publish(keys[0], arguments[3], arguments[0], std::stoul(arguments[1]), arguments[4],
                                         arguments[5], arguments[6]);
    return text(std::to_string(offset));
  }

  bool has(const std::string& key, const std::string& name) {
    const std::deque<Entry>& entries = histories[key].entries;
    return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
  }

  RedisReply read(const std::string& key, std::span<const std::string> arguments) {
    ++reads;
    History& history = histories[key];
    if (history.epoch.empty()) history = {arguments[5], 0, {}};
    RedisReply reply{RedisReply::Type::kArray, 0, "", {}};
    reply.elements = {text(history.epoch), text(std::to_string(history.top)), text(history.top == 0 ? "1" : "0")};
    const std::uint64_t after = history.epoch == arguments[0] ? std::stoull(arguments[1]) : 0;
    std::size_t left = std::stoul(arguments[2]);
    std::size_t bytes = 0;
    for (const Entry& entry : history.entries) {
      if (entry.offset <= after) continue;
      if (left-- == 0 || bytes >= std::stoul(arguments[3])) return reply;
      const bool is_large = entry.data.size() > std::stoul(arguments[4]);
      reply.elements.push_back(text(std::to_string(entry.offset)));
      reply.elements.push_back(text(is_large ? "" : entry.header));
      reply.elements.push_back(text(is_large ? "" : entry.data));
      bytes += entry.data.size();
    }
    if (std::stoul(arguments[2]) > 0) reply.elements[2].text = "1";
    return reply;
  }

  std::set<std::string> scripts_;
  std::set<std::string> channels_;
  std::deque<Command> sent_;
  std::deque<std::pair<OnReply, RedisReply>> replies_;
};

}  // namespace websockets
