// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/intrusive.h"

namespace websockets {

// Which channels are to be subscribed to, and what the server knows of that. Does no I/O. One connection after the
// other may serve them.
class RedisSubscriptions {
 public:
  // Throws std::bad_alloc, having done nothing.
  void add(std::string_view channel);
  void remove(std::string_view channel);

  // The server of a new connection knows of none. Throws nothing.
  void begin();
  // After begin(): all that there were then are confirmed, or were removed since.
  bool is_complete() const { return awaited_ == 0; }

  // The next command for the server, which has to be sent: of a bounded size, and not too many before their replies
  // have come. False: there is none now. Throws std::bad_alloc; the connection is of no use any more then.
  bool next_command(std::vector<std::string_view>& command);
  bool has_command() const { return unconfirmed_ < kMostUnconfirmed && !(added_.empty() && removed_.empty()); }

  enum class Confirmed : std::uint8_t {
    kUnasked,     // the server has confirmed what it was not told
    kLive,        // from now on its messages are to be delivered
    kNothingNew,  // another command of that channel is on its way, or to be sent
  };
  // A reply to a command: one for each of its channels.
  Confirmed confirm(bool is_subscribed, std::string_view channel);
  // Whether messages of it are to be delivered.
  bool is_live(std::string_view channel) const;

  std::size_t count() const { return entries_.size(); }

 private:
  enum class Place : std::uint8_t { kNone, kAdded, kRemoved };
  struct Entry {
    std::string_view channel;  // the key
    ListLink<Entry> link;
    std::uint32_t unconfirmed = 0;  // commands that it was in
    Place place = Place::kNone;     // which of the lists it is in
    bool is_wanted = false;
    bool was_told = false;  // the last command was to subscribe
    bool is_live = false;
    bool is_awaited = false;  // by is_complete()
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;
  using List = IntrusiveList<Entry, &Entry::link>;

  static constexpr std::size_t kMostUnconfirmed = 1024;
  static constexpr std::size_t kMostChannels = 1024;  // of one command
  static constexpr std::size_t kMostBytes = 64U << 10U;

  void put(Entry& entry, Place place);
  void stop_awaiting(Entry& entry);
  void erase_if_done(Entries::iterator entry);

  Entries entries_;
  List added_;    // to be told
  List removed_;  // likewise
  std::size_t awaited_ = 0;
  std::size_t unconfirmed_ = 0;
};

}  // namespace websockets
