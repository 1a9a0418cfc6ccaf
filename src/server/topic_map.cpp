// SPDX-License-Identifier: MIT
#include "server/topic_map.h"

#include <utility>

namespace websockets {

Topic* TopicMap::find(std::string_view name) {
  Bucket& bucket = bucket_of(name);
  const auto found = bucket.find(name);
  return found == bucket.end() ? nullptr : &found->second;
}

Topic& TopicMap::insert(std::string_view name) {
  if (size_ >= buckets_.size() * kTopicsPerBucket) grow();
  const auto made = bucket_of(name).try_emplace(std::string(name)).first;
  made->second.name = made->first;
  ++size_;
  return made->second;
}

void TopicMap::erase(std::string_view name) {
  Bucket& bucket = bucket_of(name);
  bucket.erase(bucket.find(name));
  --size_;
}

void TopicMap::grow() {
  std::vector<Bucket> before(buckets_.size() * 2);
  before.swap(buckets_);
  for (Bucket& bucket : before) {
    while (!bucket.empty()) {
      auto entry = bucket.extract(bucket.begin());
      bucket_of(entry.key()).insert(std::move(entry));
    }
  }
}

}  // namespace websockets
