// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "support.h"

// Tells on stderr once a second how far it is, and ends the program when nothing happens for too long.
class Progress {
 public:
  // Limit: 0 is none.
  Progress(std::string what, std::size_t timeout_s, std::size_t limit_s = 0);
  ~Progress();

  void tell(std::size_t done, std::size_t all);

  // Whether the limit of time is exceeded.
  bool is_over() const { return now_ns() > end_ns_; }

 private:
  const std::string what_;
  const std::int64_t timeout_ns_;
  const bool is_terminal_;
  const std::int64_t end_ns_;
  bool has_printed_ = false;
  std::size_t done_ = 0;
  std::int64_t told_ns_;   // when it was last
  std::int64_t moved_ns_;  // when there was more than before
  std::size_t told_ = 0;
};
