// SPDX-License-Identifier: MIT
#include "soak_client.h"

#include <sys/epoll.h>

#include <algorithm>

#include "support.h"

namespace {

constexpr unsigned kAbnormal = 1006;

std::string close_frame(unsigned code) {
  const std::string payload = {static_cast<char>(code >> 8U), static_cast<char>(code & 0xffU)};
  return make_frame(0x88, payload, true);
}

// What the server must not take, and the code that it closes with.
struct Violation {
  std::string frame;
  unsigned code;
};

const Violation& violation(unsigned number) {
  static const Violation violations[] = {
      {make_frame(0x81, "not masked", false), 1002},
      {make_frame(0xf1, "of no extension", true), 1002},
      {make_frame(0x80, "continues nothing", true), 1002},
      {make_frame(0x81, "not \xff UTF-8", true), 1007},
  };
  return violations[number % std::size(violations)];
}

}  // namespace

bool SoakClient::begin(const Loop& loop, const Target& target, const Life& life, std::string_view request,
                       const Traffic& traffic, std::size_t repetitions, unsigned close_code, Counts& counts) {
  life_ = &life;
  traffic_ = &traffic;
  counts_ = &counts;
  phase_ = Phase::kOpening;
  close_code_ = close_code;
  left_to_send_ = left_to_receive_ = repetitions;
  open(loop, target, traffic.frames, request);
  if (state() == State::kLost) die(reason());
  ++counts["lives"];
  return life.ending != Ending::kLeaveAtOnce || leave("left.at_once");
}

bool SoakClient::serve(std::uint32_t events) {
  switch (phase_) {
    case Phase::kOpening:
      return go_on();
    case Phase::kExchanging:
      return exchange(events);
    case Phase::kAwaitsAnswer:
    case Phase::kAwaitsCode:
      return answer_close();
    case Phase::kAwaitsEnd:
      if (!receive_end()) return true;
      drop();
      return false;
  }
  return false;
}

bool SoakClient::go_on() {
  switch (go_on_opening()) {
    case State::kConnecting:
      return true;
    case State::kShakingHands:
      if (life_->ending == Ending::kLeaveInHandshake) return leave("left.in_handshake");
      return life_->ending != Ending::kLeaveBehindRequest || leave("left.behind_request");
    case State::kLost:
      return check_refusal();
    case State::kOpen:
      return has_opened();
  }
  return false;
}

bool SoakClient::check_refusal() {
  if (life_->ending != Ending::kRefused || reason().find(life_->status) == std::string::npos) die(reason());
  ++(*counts_)["refused." + std::string(life_->refusal)];
  return false;
}

bool SoakClient::has_opened() {
  if (life_->ending == Ending::kRefused) die("a handshake was not refused");
  ++count("opened");
  phase_ = Phase::kExchanging;
  send(traffic_->outstanding);
  return true;
}

void SoakClient::send(std::size_t repetitions) {
  repetitions = std::min(repetitions, left_to_send_);
  if (repetitions == 0) return;
  left_to_send_ -= repetitions;
  count("sent") += repetitions * traffic_->messages;
  send_frames(repetitions);
}

bool SoakClient::exchange(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush();
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return true;
  const std::size_t received = receive();
  if (received > left_to_receive_) die("more came back than was sent");
  left_to_receive_ -= received;
  count("received") += received * traffic_->messages;
  (*counts_)["pongs"] += received * traffic_->pings;
  send(received);
  if (left_to_receive_ == 0) return end();
  if (left_to_send_ > 0 || received == 0) return true;
  if (life_->ending == Ending::kResetInTraffic) {
    reset();
  } else if (life_->ending == Ending::kLeaveInTraffic) {
    drop();
  } else {
    return true;
  }
  count_closed(kAbnormal);
  return false;
}

// All has come back.
bool SoakClient::end() {
  switch (life_->ending) {
    case Ending::kCloseByServer:
      ++count("sent");
      send_raw(make_frame(0x81, "close " + std::to_string(close_code_), true));
      phase_ = Phase::kAwaitsCode;
      return true;
    case Ending::kViolation:
      send_raw(violation(close_code_).frame);
      close_code_ = violation(close_code_).code;
      phase_ = Phase::kAwaitsCode;
      return true;
    case Ending::kCloseAndLeave:
      send_raw(close_frame(close_code_));
      drop();
      break;
    case Ending::kLeaveInFrame:
      send_raw(make_frame(0x82, "only half of this is sent", true).substr(0, 16));
      close_code_ = kAbnormal;
      drop();
      break;
    case Ending::kReset:
    case Ending::kResetInTraffic:
    case Ending::kLeaveInTraffic:
      close_code_ = kAbnormal;
      reset();
      break;
    default:
      send_raw(close_frame(close_code_));
      phase_ = Phase::kAwaitsAnswer;
      return true;
  }
  count_closed(close_code_);
  return false;
}

bool SoakClient::answer_close() {
  const unsigned code = receive_close_code();
  if (code == 0) return true;
  if (code != close_code_) die("closed with " + std::to_string(code) + ", not " + std::to_string(close_code_));
  count_closed(code);
  if (life_->ending == Ending::kViolation) {
    drop();
    return false;
  }
  if (phase_ == Phase::kAwaitsCode) send_raw(close_frame(code));
  phase_ = Phase::kAwaitsEnd;
  return true;
}

bool SoakClient::leave(std::string_view name) {
  if (close_code_ % 2 == 0) {
    reset();
  } else {
    drop();
  }
  ++(*counts_)[std::string(name)];
  return false;
}

std::uint64_t& SoakClient::count(std::string_view name) {
  return (*counts_)[std::string(life_->protocol) + '.' + std::string(name)];
}

void SoakClient::count_closed(unsigned code) { ++(*counts_)["closed." + std::to_string(code)]; }
