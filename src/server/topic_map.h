// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace websockets {

struct Subscription;

struct Topic {
  std::string_view name;
  Subscription* first = nullptr;  // the oldest one
  Subscription* last = nullptr;
  std::size_t count = 0;
};

// Topics by their names, which clients may have chosen. A hash picks one of many small ordered maps, so a topic is
// found as fast as in a hash table; of names that were chosen to have the same hash, all are in one map, and found in
// it by halves. Topics stay where they are until they are erased.
class TopicMap {
 public:
  // nullptr: there is none.
  Topic* find(std::string_view name);
  const Topic* find(std::string_view name) const { return const_cast<TopicMap*>(this)->find(name); }
  // There must be none of that name. Throws std::bad_alloc.
  Topic& insert(std::string_view name);
  void erase(std::string_view name);

  std::size_t size() const { return size_; }
  template <typename Function>
  void for_each(Function function) const {
    for (const Bucket& bucket : buckets_) {
      for (const auto& entry : bucket) function(entry.second);
    }
  }

 private:
  using Bucket = std::map<std::string, Topic, std::less<>>;
  static constexpr std::size_t kTopicsPerBucket = 2;

  Bucket& bucket_of(std::string_view name) {
    return buckets_[std::hash<std::string_view>{}(name) & (buckets_.size() - 1)];
  }
  void grow();

  std::vector<Bucket> buckets_{1};  // a power of two of them
  std::size_t size_ = 0;
};

}  // namespace websockets
