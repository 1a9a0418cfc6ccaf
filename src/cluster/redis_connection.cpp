// SPDX-License-Identifier: MIT
#include "cluster/redis_connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "http/websocket_url.h"
#include "loop/loop.h"

namespace websockets {
namespace {

using Remedy = RedisFailure::Remedy;

// A deadline that comes so late means that nobody was served for so long, whatever the server has done in time.
constexpr std::uint64_t kLateMs = 1000;
constexpr std::uint64_t kSecondChanceMs = 1000;

// So much input is looked at by one call, and all that is in it handed up: replies of a few bytes each, or a part of
// a long one.
constexpr std::size_t kPieceBytes = 4096;
// To make a reply and to hand it up, in the unit of Budget.
constexpr std::size_t kCostOfReply = 20;

std::string place_of(const DialTarget& target) {
  return target.unix_path.empty() ? authority(target.host, target.port) : "unix:" + target.unix_path;
}

}  // namespace

RedisConnection::Pointer RedisConnection::create(const DialServices& services, RedisConnectionOptions options,
                                                 RedisConnectionOwner& owner) {
  return Pointer(new RedisConnection(services, std::move(options), owner));
}

RedisConnection::RedisConnection(const DialServices& services, RedisConnectionOptions options,
                                 RedisConnectionOwner& owner)
    : services_(services),
      options_(std::move(options)),
      owner_(&owner),
      place_(place_of(options_.target)),
      dialer_(std::make_unique<Dialer>(services_, options_.target, static_cast<DialerOwner&>(*this))),
      reader_(options_.max_reply_bytes) {}

// --- To a server ---

void RedisConnection::start() {
  services_.loop.schedule(*this, options_.timeout_ms);
  dialer_->start();
}

void RedisConnection::on_dialed(Stream stream, std::string /*address*/) {
  dialer_.reset();
  try {
    channel_.emplace(services_.loop, std::move(stream), static_cast<ChannelHandler&>(*this));
    channel_->set_uncounted();
    channel_->start();
    channel_->defer();  // it is watched then: an observer of descriptors may do anything
    options_.has_greeting ? greet() : become_ready();
  } catch (const std::bad_alloc&) {
    lose(redis_failure(Remedy::kRetry, {"memory is short"}));
  }
}

void RedisConnection::on_timeout() {
  Loop& loop = services_.loop;
  if (!std::exchange(had_second_chance_, true) && loop.now_ms() >= deadline_ms() + kLateMs) {
    return loop.schedule(*this, kSecondChanceMs);
  }
  lose(redis_failure(Remedy::kRetry, {place_, ": it was not ready in time"}));
}

// All at once: the first error that is answered says what is wrong.
void RedisConnection::greet() {
  using Command = std::span<const std::string_view>;
  const auto is_done = [](const RedisReply&) {};
  const auto ask = [this](Command command, auto on_done) {
    send(command, [this, on_done](const RedisReply* reply) {
      if (reply == nullptr || is_over_) return;
      if (reply->is_error()) return refuse(reply->text, remedy_for_greeting(reply->text));
      on_done(*reply);
    });
  };
  if (!options_.password.empty()) {
    const std::array<std::string_view, 3> all = {"AUTH", options_.username, options_.password};
    const std::array<std::string_view, 2> password = {"AUTH", options_.password};
    ask(options_.username.empty() ? Command(password) : Command(all), is_done);
  }
  if (options_.database != 0) {
    ask(std::array<std::string_view, 2>{"SELECT", std::to_string(options_.database)}, is_done);
  }
  ask(std::array<std::string_view, 1>{"ROLE"}, [this](const RedisReply& reply) {
    if (auto failure = check_role(reply, place_)) lose(std::move(*failure));
  });
  ask(std::array<std::string_view, 2>{"INFO", "replication"}, [this](const RedisReply& reply) {
    try {
      note_information(reply.text);
      become_ready();
    } catch (const std::bad_alloc&) {
      lose(redis_failure(Remedy::kRetry, {"memory is short"}));
    }
  });
}

void RedisConnection::note_information(std::string_view information) {
  constexpr std::string_view kName = "\nmaster_replid:";
  const std::size_t at = information.find(kName);
  if (at == std::string_view::npos) return;
  information.remove_prefix(at + kName.size());
  replication_id_ = information.substr(0, information.find_first_of("\r\n"));
}

void RedisConnection::become_ready() {
  is_ready_ = true;
  if (options_.has_greeting) services_.loop.cancel(*this);
  owner_->on_connection_ready(*this);
}

// --- Commands ---

void RedisConnection::send(std::span<const std::string_view> command, RedisCommands::OnReply on_reply) {
  awaited_.push_back(std::move(on_reply));
  try {
    tell(command);
  } catch (const std::bad_alloc&) {
    awaited_.pop_back();
    throw;
  }
}

void RedisConnection::tell(std::span<const std::string_view> command) {
  ByteBuffer bytes;
  append_redis_command(bytes, command);
  channel_->output().append(services_.loop.output_pool(), bytes.bytes());
  channel_->output_added();
}

void RedisConnection::defer() {
  is_deferred_ = true;
  channel_->defer();
}

void RedisConnection::run_deferred() {
  if (std::exchange(is_deferred_, false) && owner_ != nullptr) owner_->on_deferred(*this);
}

// --- Replies ---

InputState RedisConnection::on_input(std::span<std::uint8_t>& input, Budget& budget) {
  has_received_ = true;
  std::span<const std::uint8_t> piece = input.first(std::min(input.size(), kPieceBytes));
  input = input.subspan(piece.size());
  while (read_reply(piece, budget)) {
  }
  return {.holds_bytes = reader_.held_bytes() > 0};
}

// False: there is none.
bool RedisConnection::read_reply(std::span<const std::uint8_t>& input, Budget& budget) {
  using Status = RedisReplyReader::Status;
  RedisReply reply;
  switch (reader_.read(input, reply)) {
    case Status::kMore:
      return false;
    case Status::kMalformed:
      lose(redis_failure(Remedy::kRetry, {place_, ": it does not speak as a Redis server does"}));
      return false;
    case Status::kTooLarge:
      lose(redis_failure(Remedy::kRetry, {place_, ": a reply is too large"}));
      return false;
    case Status::kNoMemory:
      lose(redis_failure(Remedy::kRetry, {"memory is short"}));
      return false;
    case Status::kReply:
      break;
  }
  budget.spend(kCostOfReply);
  take(reply);
  return !is_over_;
}

void RedisConnection::take(const RedisReply& reply) {
  if (awaited_.empty()) {
    if (!is_ready_) return lose(redis_failure(Remedy::kRetry, {place_, ": it spoke unasked"}));
    owner_->on_unasked(*this, reply);
  } else {
    const RedisCommands::OnReply on_reply = std::move(awaited_.front());
    awaited_.pop_front();
    if (on_reply) on_reply(&reply);
  }
  if (is_over_ || !options_.has_greeting || !reply.is_error()) return;
  if (const auto remedy = remedy_for(reply.text)) refuse(reply.text, *remedy);
}

void RedisConnection::break_off() {
  stop();
  while (!awaited_.empty()) {
    const RedisCommands::OnReply on_reply = std::move(awaited_.front());
    awaited_.pop_front();
    if (on_reply) on_reply(nullptr);
  }
}

// --- Endings ---

void RedisConnection::on_end_of_input() {
  lose(redis_failure(Remedy::kRetry, {place_, ": the server ended the connection"}));
}

// A server may refuse a certificate when the handshake is over (TLS 1.3).
void RedisConnection::on_handshake_failed() {
  try {
    tls_refusal_ = channel_->stream().tls_error();
  } catch (const std::bad_alloc&) {  // it will be lost without these words
  }
}

void RedisConnection::on_lost() {
  if (!tls_refusal_.empty()) return lose(redis_failure(Remedy::kHelp, {tls_refusal_}));
  const int error = channel_->error();
  const std::string_view why = error == 0 ? std::string_view() : std::string_view(std::strerror(error));
  lose(redis_failure(Remedy::kRetry, {place_, ": the connection was lost", why.empty() ? "" : ": ", why}));
}

void RedisConnection::on_shed() { lose(redis_failure(Remedy::kRetry, {"memory is short"})); }

void RedisConnection::refuse(std::string_view error, Remedy remedy) noexcept {
  std::string text;
  try {
    text = printable_redis_error(error, options_.password);
  } catch (const std::bad_alloc&) {  // then the place has to do
  }
  lose(redis_failure(remedy, {place_, ": ", text}));
}

void RedisConnection::lose(RedisFailure failure) noexcept {
  if (is_over_) return;
  stop();
  if (owner_ != nullptr) owner_->on_connection_lost(*this, std::move(failure));
}

void RedisConnection::close() {
  owner_ = nullptr;
  stop();
  if (!channel_) services_.loop.dispose(std::unique_ptr<Disposable>(this));
}

void RedisConnection::stop() {
  is_over_ = true;
  services_.loop.cancel(*this);
  dialer_.reset();
  if (channel_) channel_->close();
}

void RedisConnection::finish() {
  if (!channel_ || channel_->is_closed()) return;
  is_over_ = true;
  while (channel_->flush_now()) {
  }
  channel_->close_gently();
}

void RedisConnection::abandon() {
  is_over_ = true;
  if (channel_) channel_->abandon();
}

void RedisConnection::on_released() {
  channel_.reset();
  if (owner_ == nullptr) delete this;
}

}  // namespace websockets
