// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "frames.h"

// What a connection of a soak sends again and again, and what an echoing server answers: messages of many sizes and
// both types, whole and in fragments, and pings between them.
struct Traffic {
  Frames frames;
  std::size_t messages;  // of one repetition
  std::size_t pings;
  std::size_t outstanding;  // repetitions under way
  std::size_t most;         // repetitions of one connection
};

// The same ones each time. The last one has messages of up to 1 MiB.
std::vector<Traffic> make_traffic();
