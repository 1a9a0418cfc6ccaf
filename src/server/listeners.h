// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "server/acceptor.h"

namespace websockets {

class Loop;
struct ContextOptions;

// Where a context listens. For workers each address has a listener of each slot, as far as the system spreads clients
// over several of them (TCP on Linux); otherwise all workers share what there is.
class Listeners {
 public:
  Listeners(Loop& loop, AcceptorOwner& owner) : loop_(loop), owner_(owner) {}
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // All that the options ask for; with ContextOptions::workers those of all slots. Error: there may be some.
  Error open(const ContextOptions& options);
  // Those of slots that are missing. They listen from start() or serve() on: a worker that never gets so far keeps no
  // client waiting.
  Error open_slots(const ContextOptions& options, std::size_t count);

  // Accepts from all of them.
  Error start();
  // Accepts from none, until start() or serve(); they listen still.
  void suspend();
  // Listens no more.
  void stop();
  bool is_stopped() const { return is_stopped_; }
  // What a previous version of the program has handed over is this one's from now on.
  void own_files();
  // Stops, where another process has them now.
  void abandon();

  // --- In a worker, of `count` ---

  // It has all of them beside other processes: the files of unix sockets stay theirs.
  void share();
  // Accepts from those of the slot, which is this worker's, or that of one that is down; what all share is this one's.
  Error serve(std::size_t slot, std::size_t count);
  // Accepts from those no more.
  void leave(std::size_t slot, std::size_t count);

  // The addresses.
  std::size_t count() const { return places_.size(); }
  const SocketAddress& address(std::size_t place) const { return places_[place].front()->address(); }
  // All that listen at an address.
  const std::vector<std::unique_ptr<Acceptor>>& acceptors(std::size_t place) const { return places_[place]; }
  // nullptr: it is none of them.
  const Acceptor* find(const Pollable* pollable) const;

 private:
  using Place = std::vector<std::unique_ptr<Acceptor>>;

  void add(Listener listener);
  template <typename Function>
  void for_each(Function function) const;
  template <typename Function>
  void for_each_of(std::size_t slot, std::size_t count, Function function) const;

  Loop& loop_;
  AcceptorOwner& owner_;
  std::vector<Place> places_;
  bool is_stopped_ = false;
};

}  // namespace websockets
