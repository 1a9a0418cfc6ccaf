// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <utility>

namespace websockets {

// An object's place in one list.
template <typename T>
struct ListLink {
  T* previous = nullptr;
  T* next = nullptr;
};

// Objects in the order in which they came, linked by a member of theirs: to add one takes no memory, so it cannot fail,
// and to remove one takes the same time wherever it is. An object is in one list by the same member at a time.
template <typename T, ListLink<T> T::*Link>
class IntrusiveList {
 public:
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  T* first() const { return first_; }
  static T* next(const T& object) { return (object.*Link).next; }

  void push_back(T& object) { insert(object, last_, nullptr); }
  void push_front(T& object) { insert(object, nullptr, first_); }
  // Of this list.
  void remove(T& object) {
    const ListLink<T> link = std::exchange(object.*Link, {});
    (link.previous == nullptr ? first_ : (link.previous->*Link).next) = link.next;
    (link.next == nullptr ? last_ : (link.next->*Link).previous) = link.previous;
    --size_;
  }
  // Not while empty().
  T& pop_front() {
    T& object = *first_;
    remove(object);
    return object;
  }

 private:
  void insert(T& object, T* previous, T* next) {
    object.*Link = {previous, next};
    (previous == nullptr ? first_ : (previous->*Link).next) = &object;
    (next == nullptr ? last_ : (next->*Link).previous) = &object;
    ++size_;
  }

  T* first_ = nullptr;
  T* last_ = nullptr;
  std::size_t size_ = 0;
};

// The same in half of the room, for what only leaves from the front.
template <typename T, T* T::*Next>
class IntrusiveQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  void push(T& object) {
    object.*Next = nullptr;
    (first_ == nullptr ? first_ : last_->*Next) = &object;
    last_ = &object;
    ++size_;
  }
  // Not while empty().
  T& pop() {
    T& object = *first_;
    first_ = std::exchange(object.*Next, nullptr);
    --size_;
    return object;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;  // of no meaning while empty
  std::size_t size_ = 0;
};

}  // namespace websockets
