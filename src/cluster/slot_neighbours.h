// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace websockets {

// Which worker serves the listeners of each slot: its own one, or another while that is down.
class SlotNeighbours {
 public:
  explicit SlotNeighbours(std::size_t count);

  bool has_neighbour(std::size_t slot) const { return served_by_[slot] != slot; }
  // Whose worker serves the slot; its own number: that of no other.
  std::size_t neighbour_of(std::size_t slot) const { return served_by_[slot]; }

  // The next worker behind it that is ready serves it from now on. False: there is none.
  bool find(std::size_t slot, const std::function<bool(std::size_t)>& is_ready);
  // Its own worker serves it again. Returns who does so no more.
  std::size_t release(std::size_t slot);
  // The worker of this slot serves no others any more.
  void forget(std::size_t neighbour);

 private:
  std::vector<std::size_t> served_by_;
};

}  // namespace websockets
