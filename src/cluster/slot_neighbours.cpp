// SPDX-License-Identifier: MIT
#include "cluster/slot_neighbours.h"

#include <numeric>
#include <utility>

namespace websockets {

SlotNeighbours::SlotNeighbours(std::size_t count) : served_by_(count) {
  std::iota(served_by_.begin(), served_by_.end(), std::size_t{0});
}

bool SlotNeighbours::find(std::size_t slot, const std::function<bool(std::size_t)>& is_ready) {
  for (std::size_t k = 1; k < served_by_.size(); ++k) {
    const std::size_t other = (slot + k) % served_by_.size();
    if (!is_ready(other)) continue;
    served_by_[slot] = other;
    return true;
  }
  return false;
}

std::size_t SlotNeighbours::release(std::size_t slot) { return std::exchange(served_by_[slot], slot); }

void SlotNeighbours::forget(std::size_t neighbour) {
  for (std::size_t slot = 0; slot < served_by_.size(); ++slot) {
    if (served_by_[slot] == neighbour) served_by_[slot] = slot;
  }
}

}  // namespace websockets
