// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

struct ssl_session_st;

namespace websockets {

// What servers have given out to be resumed, the latest of them.
class TlsSessionCache {
 public:
  struct Deleter {
    void operator()(ssl_session_st* session) const;
  };
  using Session = std::unique_ptr<ssl_session_st, Deleter>;

  static constexpr std::size_t kMost = 128;
  static constexpr std::size_t kMostOfKey = 4;  // so many connections to one server resume at once

  void add(std::string key, Session session);
  // The latest one that is good still, or null. A ticket of TLS 1.3 is given only once (RFC 8446 C.4).
  Session take(std::string_view key);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    Session session;
  };
  void make_place(std::string_view key);

  std::deque<Entry> entries_;  // the latest is the last
};

}  // namespace websockets
