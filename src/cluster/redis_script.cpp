// SPDX-License-Identifier: MIT
#include "cluster/redis_script.h"

#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <deque>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace websockets {
namespace {

constexpr std::size_t kMaxHeldBytes = 1U << 20U;

std::string hash_of(std::string_view text) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hash;
  for (const unsigned char byte : digest) {
    hash += kDigits[byte >> 4U];
    hash += kDigits[byte & 15U];
  }
  return hash;
}

bool is_unknown_script(const RedisReply* reply) {
  return reply != nullptr && reply->is_error() && reply->text.starts_with("NOSCRIPT");
}

}  // namespace

struct RedisScript::Call {
  std::vector<std::string> arguments;  // behind the script's hash or text
  RedisCommands::OnReply on_reply;
  std::size_t bytes = 0;
};

// Lives until the last reply has come.
class RedisScript::Calls : public std::enable_shared_from_this<Calls> {
 public:
  Calls(RedisCommands& commands, std::string_view text) : commands_(commands), text_(text), hash_(hash_of(text)) {}

  // A call that comes while others are given the text waits until all of them are: it must not overtake them.
  bool run(std::shared_ptr<Call> call) {
    if (!is_giving_text_) return ask(call);
    if (held_bytes_ > kMaxHeldBytes) return false;
    const std::size_t bytes = call->bytes;
    held_.push_back(std::move(call));
    held_bytes_ += bytes;
    return true;
  }

 private:
  bool ask(const std::shared_ptr<Call>& call) {
    const std::span<const std::string> arguments = call->arguments;
    const bool is_sent = send("EVALSHA", hash_, arguments, [self = shared_from_this(), call](const RedisReply* reply) {
      self->on_answer(*call, reply);
    });
    if (is_sent) ++asked_;
    return is_sent;
  }

  void on_answer(Call& call, const RedisReply* reply) {
    --asked_;
    if (is_unknown_script(reply)) {
      is_giving_text_ = true;
      give_text(call);
    } else if (call.on_reply) {
      call.on_reply(reply);
    }
    if (is_giving_text_ && asked_ == 0) run_held();
  }

  void give_text(Call& call) {
    bool is_sent = false;
    try {
      RedisCommands::OnReply on_reply = call.on_reply;
      is_sent = send("EVAL", text_, call.arguments, std::move(on_reply));
    } catch (const std::bad_alloc&) {
      is_sent = false;
    }
    if (!is_sent && call.on_reply) call.on_reply(nullptr);
  }

  void run_held() {
    is_giving_text_ = false;
    std::deque<std::shared_ptr<Call>> held;
    held.swap(held_);
    held_bytes_ = 0;
    for (std::shared_ptr<Call>& call : held) {
      bool is_sent = false;
      try {
        is_sent = ask(call);
      } catch (const std::bad_alloc&) {
        is_sent = false;
      }
      if (!is_sent && call->on_reply) call->on_reply(nullptr);
    }
  }

  bool send(std::string_view command, std::string_view script, std::span<const std::string> arguments,
            RedisCommands::OnReply on_reply) {
    std::vector<std::string_view> words{command, script};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return commands_.send(words, std::move(on_reply));
  }

  RedisCommands& commands_;
  std::string_view text_;
  std::string hash_;
  std::size_t asked_ = 0;        // by the hash, and not answered yet
  bool is_giving_text_ = false;  // one of those has been unknown to the server
  std::deque<std::shared_ptr<Call>> held_;
  std::size_t held_bytes_ = 0;
};

RedisScript::RedisScript(RedisCommands& commands, std::string_view text)
    : calls_(std::make_shared<Calls>(commands, text)) {}

RedisScript::~RedisScript() = default;

bool RedisScript::run(std::span<const std::string_view> keys, std::span<const std::string_view> arguments,
                      RedisCommands::OnReply on_reply) {
  auto call = std::make_shared<Call>();
  call->arguments.reserve(1 + keys.size() + arguments.size());
  call->arguments.push_back(std::to_string(keys.size()));
  call->arguments.insert(call->arguments.end(), keys.begin(), keys.end());
  call->arguments.insert(call->arguments.end(), arguments.begin(), arguments.end());
  for (const std::string& argument : call->arguments) call->bytes += argument.size();
  call->on_reply = std::move(on_reply);
  return calls_->run(std::move(call));
}

}  // namespace websockets
