// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "connection.h"
#include "loop.h"
#include "options.h"

// Echo and fanout: a number of messages under way all the time, a further one for each that came back.
class Exchange {
 public:
  Exchange(const Options& options, const Loop& loop, std::vector<Connection>& connections)
      : options_(options), loop_(loop), connections_(connections), is_fanout_(options.mode == "fanout") {}

  // Until so many messages have been received; with fanout perhaps some more, for all receive the last one. Fewer if
  // there is a limit of time. Returns how many it were.
  std::size_t run(std::size_t messages);

 private:
  std::size_t receivers() const { return is_fanout_ ? connections_.size() : 1; }
  void send(Connection& connection, std::size_t count);
  void receive(Connection& connection);
  void send_next_fanout();

  const Options& options_;
  const Loop& loop_;
  std::vector<Connection>& connections_;
  const bool is_fanout_;
  std::size_t left_to_send_ = 0;
  std::size_t left_to_receive_ = 0;
};
