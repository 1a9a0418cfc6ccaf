// SPDX-License-Identifier: MIT
#include "cluster/redis_protocol.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

namespace websockets {
namespace {

// What hiredis is fed at once: so that it never keeps more than that behind a reply.
constexpr std::size_t kSlice = std::size_t{16} * 1024;

}  // namespace

// hiredis' reader makes our replies, not its own: so what they take is counted while they are made.
class RedisReplyReader::Parser {
 public:
  explicit Parser(std::size_t max_reply_bytes) : max_reply_bytes_(max_reply_bytes) {
    static redisReplyObjectFunctions functions = {make_text, make_array, make_integer, make_nil, free_reply};
    reader_ = redisReaderCreateWithFunctions(&functions);
    if (reader_ == nullptr) throw std::bad_alloc();
    reader_->privdata = this;
    reader_->maxbuf = kSlice;
  }
  ~Parser() { redisReaderFree(reader_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  Status read(std::span<const std::uint8_t>& input, RedisReply& reply) {
    if (failure_ != Status::kMore) return failure_;
    for (;;) {
      if (const Status status = take(reply); status != Status::kMore) return status;
      if (input.empty()) return Status::kMore;
      const std::span<const std::uint8_t> slice = input.first(std::min(input.size(), kSlice));
      if (redisReaderFeed(reader_, reinterpret_cast<const char*>(slice.data()), slice.size()) != REDIS_OK) {
        return failure_ = Status::kNoMemory;
      }
      input = input.subspan(slice.size());
    }
  }
  std::size_t held_bytes() const { return taken_ + (reader_->len - reader_->pos); }

 private:
  Status take(RedisReply& reply) {
    void* root = nullptr;
    if (redisReaderGetReply(reader_, &root) != REDIS_OK) {
      if (is_too_large_) return failure_ = Status::kTooLarge;
      return failure_ = reader_->err == REDIS_ERR_OOM ? Status::kNoMemory : Status::kMalformed;
    }
    if (root == nullptr) {
      const bool is_too_large = reader_->len - reader_->pos > max_reply_bytes_ - std::min(taken_, max_reply_bytes_);
      return is_too_large ? failure_ = Status::kTooLarge : Status::kMore;
    }
    reply = std::move(root_);
    root_ = {};
    taken_ = 0;
    return Status::kReply;
  }

  // nullptr: there is no room for it; the reader ends with an error.
  static RedisReply* make(const redisReadTask* task, RedisReply::Type type, std::size_t size) {
    Parser& parser = *static_cast<Parser*>(task->privdata);
    const std::size_t cost = sizeof(RedisReply) + size;
    if (cost > parser.max_reply_bytes_ - parser.taken_) {
      parser.is_too_large_ = true;
      return nullptr;
    }
    parser.taken_ += cost;
    RedisReply* made = &parser.root_;
    // An array's elements have their places already: pointers to them stay.
    if (task->parent != nullptr) {
      made = &static_cast<RedisReply*>(task->parent->obj)->elements[static_cast<std::size_t>(task->idx)];
    }
    made->type = type;
    return made;
  }

  static void* make_text(const redisReadTask* task, char* text, std::size_t size) {
    const RedisReply::Type type = task->type == REDIS_REPLY_ERROR    ? RedisReply::Type::kError
                                  : task->type == REDIS_REPLY_STATUS ? RedisReply::Type::kStatus
                                                                     : RedisReply::Type::kString;
    RedisReply* const made = make(task, type, size);
    if (made == nullptr) return nullptr;
    try {
      made->text.assign(text, size);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return made;
  }
  static void* make_array(const redisReadTask* task, int count) {
    const auto size = static_cast<std::size_t>(std::max(count, 0));
    Parser& parser = *static_cast<Parser*>(task->privdata);
    // Before it is allocated: a count is a few bytes. Each element is counted again when it comes.
    if (size > parser.max_reply_bytes_ / sizeof(RedisReply)) {
      parser.is_too_large_ = true;
      return nullptr;
    }
    RedisReply* const made = make(task, RedisReply::Type::kArray, size * sizeof(RedisReply));
    if (made == nullptr) return nullptr;
    try {
      made->elements.resize(size);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return made;
  }
  static void* make_integer(const redisReadTask* task, long long value) {
    RedisReply* const made = make(task, RedisReply::Type::kInteger, 0);
    if (made != nullptr) made->integer = value;
    return made;
  }
  static void* make_nil(const redisReadTask* task) { return make(task, RedisReply::Type::kNil, 0); }
  // All are within root_.
  static void free_reply(void* /*reply*/) {}

  redisReader* reader_ = nullptr;
  const std::size_t max_reply_bytes_;
  RedisReply root_;
  std::size_t taken_ = 0;  // by root_
  bool is_too_large_ = false;
  Status failure_ = Status::kMore;
};

bool has_redis_protocol() { return true; }

RedisReplyReader::RedisReplyReader(std::size_t max_reply_bytes) : parser_(std::make_unique<Parser>(max_reply_bytes)) {}

RedisReplyReader::~RedisReplyReader() = default;

RedisReplyReader::Status RedisReplyReader::read(std::span<const std::uint8_t>& input, RedisReply& reply) {
  return parser_->read(input, reply);
}

std::size_t RedisReplyReader::held_bytes() const { return parser_->held_bytes(); }

void append_redis_command(ByteBuffer& output, std::span<const std::string_view> arguments) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  texts.reserve(arguments.size());
  sizes.reserve(arguments.size());
  for (const std::string_view argument : arguments) {
    texts.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  char* command = nullptr;
  const int size = redisFormatCommandArgv(&command, static_cast<int>(arguments.size()), texts.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  struct Freed {
    char* command;
    ~Freed() { redisFreeCommand(command); }
  } const freed{command};
  output.append({reinterpret_cast<const std::uint8_t*>(command), static_cast<std::size_t>(size)});
}

}  // namespace websockets
