// SPDX-License-Identifier: MIT
#include "server/connection_counts.h"

namespace websockets {
namespace {

constexpr std::size_t kMostRefused = 64;

}  // namespace

Admission ConnectionCounts::ask(const PeerAddress& peer) const {
  if (most_ != 0 && total_ >= most_) return Admission::kTooMany;
  const auto found = of_address_.find(key(peer));
  const bool is_full = found != of_address_.end() && found->second >= most_of_address_;
  return is_full ? Admission::kTooManyOfAddress : Admission::kAdmitted;
}

Admission ConnectionCounts::admit(const PeerAddress& peer) {
  const Admission admission = ask(peer);
  if (admission != Admission::kAdmitted) return admission;
  if (key(peer) != 0) ++of_address_[key(peer)];
  ++total_;
  return admission;
}

void ConnectionCounts::leave(const PeerAddress& peer) {
  --total_;
  const auto found = of_address_.find(key(peer));
  if (found != of_address_.end() && --found->second == 0) of_address_.erase(found);
}

bool ConnectionCounts::begin_refusal() {
  if (refused_ >= kMostRefused) return false;
  ++refused_;
  return true;
}

}  // namespace websockets
