// SPDX-License-Identifier: MIT
#include "base/intrusive.h"

#include <gtest/gtest.h>

#include <array>
#include <list>
#include <random>
#include <vector>

namespace websockets {
namespace {

struct Item {
  int number = 0;
  ListLink<Item> link;
  ListLink<Item> other_link;
  Item* next_waiting = nullptr;
};

using Items = IntrusiveList<Item, &Item::link>;
using OtherItems = IntrusiveList<Item, &Item::other_link>;
using Waiting = IntrusiveQueue<Item, &Item::next_waiting>;

std::array<Item, 8> make_items() {
  std::array<Item, 8> items;
  for (int i = 0; i < 8; ++i) items[static_cast<std::size_t>(i)].number = i;
  return items;
}

std::vector<int> numbers(const Items& list) {
  std::vector<int> found;
  for (const Item* item = list.first(); item != nullptr; item = Items::next(*item)) found.push_back(item->number);
  return found;
}

TEST(IntrusiveList, KeepsTheOrderAndAddsAtBothEnds) {
  std::array items = make_items();
  Items list;
  EXPECT_TRUE(list.empty());
  list.push_back(items[1]);
  list.push_back(items[2]);
  list.push_front(items[0]);
  EXPECT_EQ(numbers(list), (std::vector{0, 1, 2}));
  EXPECT_EQ(list.size(), 3U);
  EXPECT_EQ(list.pop_front().number, 0);
  EXPECT_EQ(numbers(list), (std::vector{1, 2}));
}

TEST(IntrusiveList, RemovesTheFirstTheLastAndTheOnlyOne) {
  std::array items = make_items();
  Items list;
  for (std::size_t i = 0; i < 4; ++i) list.push_back(items[i]);
  list.remove(items[0]);
  list.remove(items[3]);
  EXPECT_EQ(numbers(list), (std::vector{1, 2}));
  list.remove(items[1]);
  list.remove(items[2]);
  EXPECT_TRUE(list.empty());
  list.push_back(items[5]);
  EXPECT_EQ(numbers(list), std::vector{5});
}

TEST(IntrusiveList, HoldsAnObjectInSeveralListsByDifferentMembers) {
  std::array items = make_items();
  Items list;
  OtherItems other;
  list.push_back(items[0]);
  list.push_back(items[1]);
  other.push_back(items[1]);
  other.push_back(items[0]);
  list.remove(items[0]);
  EXPECT_EQ(numbers(list), std::vector{1});
  EXPECT_EQ(other.first(), &items[1]);
  EXPECT_EQ(OtherItems::next(items[1]), &items[0]);
}

TEST(IntrusiveList, DoesWhatAStandardListDoes) {
  std::array items = make_items();
  std::array<bool, 8> is_in{};
  Items list;
  std::list<int> expected;
  std::minstd_rand random(1);
  for (int i = 0; i < 2000; ++i) {
    Item& item = items[random() % 8];
    bool& in = is_in[static_cast<std::size_t>(item.number)];
    if (in) {
      list.remove(item);
      expected.remove(item.number);
    } else if (random() % 2 == 0) {
      list.push_back(item);
      expected.push_back(item.number);
    } else {
      list.push_front(item);
      expected.push_front(item.number);
    }
    in = !in;
    ASSERT_EQ(numbers(list), std::vector(expected.begin(), expected.end()));
    ASSERT_EQ(list.size(), expected.size());
  }
}

TEST(IntrusiveQueue, GivesTheFirstFirst) {
  std::array items = make_items();
  Waiting queue;
  queue.push(items[3]);
  queue.push(items[1]);
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue.pop().number, 3);
  queue.push(items[3]);
  EXPECT_EQ(queue.pop().number, 1);
  EXPECT_EQ(queue.pop().number, 3);
  EXPECT_TRUE(queue.empty());
  queue.push(items[0]);
  EXPECT_EQ(queue.pop().number, 0);
}

}  // namespace
}  // namespace websockets
