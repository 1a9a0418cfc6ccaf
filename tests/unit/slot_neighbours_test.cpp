// SPDX-License-Identifier: MIT
#include "cluster/slot_neighbours.h"

#include <gtest/gtest.h>

#include <set>

namespace websockets {
namespace {

TEST(SlotNeighbours, AreTheNextWorkersThatAreReady) {
  SlotNeighbours neighbours(4);
  std::set<std::size_t> ready = {0, 1};
  const auto is_ready = [&](std::size_t slot) { return ready.contains(slot); };
  EXPECT_FALSE(neighbours.has_neighbour(2));
  EXPECT_TRUE(neighbours.find(2, is_ready));
  EXPECT_TRUE(neighbours.has_neighbour(2));
  EXPECT_EQ(neighbours.neighbour_of(2), 0U);
  EXPECT_TRUE(neighbours.find(0, is_ready));
  EXPECT_EQ(neighbours.neighbour_of(0), 1U);
  EXPECT_EQ(neighbours.release(0), 1U);
  EXPECT_EQ(neighbours.release(0), 0U) << "it had none";
  ready = {2};
  EXPECT_FALSE(neighbours.find(2, is_ready)) << "not itself";
}

TEST(SlotNeighbours, AreForgottenWhenTheyEnd) {
  SlotNeighbours neighbours(3);
  const auto is_last = [](std::size_t slot) { return slot == 2; };
  EXPECT_TRUE(neighbours.find(0, is_last));
  EXPECT_TRUE(neighbours.find(1, is_last));
  neighbours.forget(2);
  EXPECT_FALSE(neighbours.has_neighbour(0));
  EXPECT_FALSE(neighbours.has_neighbour(1));
}

}  // namespace
}  // namespace websockets
