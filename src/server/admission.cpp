// SPDX-License-Identifier: MIT
#include "server/admission.h"

namespace websockets {
namespace {

constexpr std::size_t kMostRefused = 64;

}  // namespace

AdmissionVerdict Admission::check(const PeerAddress& peer) const {
  if (most_ != 0 && total_ >= most_) return AdmissionVerdict::kTooMany;
  const auto found = of_address_.find(key(peer));
  const bool is_full = found != of_address_.end() && found->second.count >= most_of_address_;
  return is_full ? AdmissionVerdict::kTooManyOfAddress : AdmissionVerdict::kAdmitted;
}

Admission::Ticket Admission::admit(const PeerAddress& peer) {
  if (check(peer) != AdmissionVerdict::kAdmitted) return {};
  const std::uint64_t number = key(peer);
  Group& group = number == 0 ? without_address_ : of_address_.try_emplace(number, *this, number).first->second;
  ++total_;
  return Ticket(group);
}

Admission::Ticket Admission::admit_refused() { return refused_.count < kMostRefused ? Ticket(refused_) : Ticket(); }

void Admission::leave(Group& group) {
  --group.count;
  if (&group == &refused_) return;
  --total_;
  if (group.count == 0 && group.key != 0) of_address_.erase(group.key);
}

}  // namespace websockets
