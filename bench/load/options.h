// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

struct Options {
  std::uint16_t port = 0;
  std::string mode = "echo";
  std::size_t connections = 100;
  std::size_t size = 20;
  std::size_t outstanding = 1;
  std::size_t messages = 100'000;
  std::size_t warmup = 0;
  std::size_t idle = 0;
  std::size_t flood = 0;
  std::size_t rate = 10'000;
  std::size_t seconds = 5;
  std::size_t limit_s = 0;  // 0: none
  std::size_t timeout_s = 60;
  bool text = false;
  bool tls = false;
  bool sleep = false;
};

// Ends the program when they make no sense.
Options read_options(int argc, char** argv);
