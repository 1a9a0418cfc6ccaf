// SPDX-License-Identifier: MIT
#include "faults.h"

#include <execinfo.h>
#include <pthread.h>

#include <array>

namespace websockets::faults {

Injector injector;

namespace {

const pthread_t test_thread = ::pthread_self();
constexpr std::size_t kFrames = 6;  // where a call comes from
constexpr long kEndlessCalls = 100'000;

}  // namespace

void Injector::arm(Kind kind, long number, int error) {
  kind_ = kind;
  left_ = number;
  error_ = error;
}

bool Injector::disarm() {
  const bool was_made = left_ == 0;
  kind_ = Kind::kNone;
  return was_made;
}

void Injector::record(Kind kind) {
  kind_ = kind;
  records_ = true;
  count_ = 0;
}

std::vector<long> Injector::recorded() {
  kind_ = Kind::kNone;
  records_ = false;
  ways_.clear();
  recorded_.push_back(count_ + 1);
  return std::move(recorded_);
}

void Injector::refuse(std::string_view call, int error) {
  refused_call_ = call;
  refused_count_ = 0;
  error_ = error;
}

long Injector::stop_refusing() {
  refused_call_ = {};
  return refused_count_;
}

bool Injector::fails(Kind kind, std::string_view call) {
  if (::pthread_equal(::pthread_self(), test_thread) == 0 || pauses > 0) return false;
  if (refuses()) return call == refused_call_ && ++refused_count_ <= kEndlessCalls;
  if (records_ && kind == kind_) {
    const Pause pause;
    std::array<void*, kFrames> way;
    const int depth = ::backtrace(way.data(), static_cast<int>(way.size()));
    ++count_;
    if (ways_.emplace(way.begin(), way.begin() + depth).second) recorded_.push_back(count_);
    return false;
  }
  return kind == kind_ && left_ > 0 && --left_ == 0;
}

}  // namespace websockets::faults
