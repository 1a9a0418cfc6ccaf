// SPDX-License-Identifier: MIT
#include "options.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "support.h"

namespace {

constexpr std::array<std::string_view, 7> kModes = {"echo", "fanout", "connect", "idle", "latency", "storm", "soak"};

struct Number {
  std::string_view name;
  std::size_t Options::*field;
  std::size_t least;
};

constexpr std::array<Number, 11> kNumbers = {{
    {"--connections", &Options::connections, 1},
    {"--size", &Options::size, 0},
    {"--outstanding", &Options::outstanding, 1},
    {"--messages", &Options::messages, 0},
    {"--warmup", &Options::warmup, 0},
    {"--idle", &Options::idle, 0},
    {"--flood", &Options::flood, 0},
    {"--rate", &Options::rate, 1},
    {"--seconds", &Options::seconds, 1},
    {"--limit", &Options::limit_s, 0},
    {"--timeout", &Options::timeout_s, 1},
}};

struct Flag {
  std::string_view name;
  bool Options::*field;
};

constexpr std::array<Flag, 3> kFlags = {{
    {"--text", &Options::text},
    {"--tls", &Options::tls},
    {"--sleep", &Options::sleep},
}};

std::size_t read_number(std::string_view name, const char* text, std::size_t least, std::size_t most) {
  char* end;
  errno = 0;
  const unsigned long long number = std::strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
    die(std::string(name) + " takes a number from " + std::to_string(least) + ", not '" + text + "'");
  }
  return static_cast<std::size_t>(number);
}

bool set_flag(Options& options, std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (name != flag.name) continue;
    options.*flag.field = true;
    return true;
  }
  return false;
}

void read_value(Options& options, std::string_view name, const char* value) {
  if (name == "--mode") {
    options.mode = value;
    if (std::find(kModes.begin(), kModes.end(), value) == kModes.end()) die("unknown mode " + options.mode);
    return;
  }
  if (name == "--port") {
    options.port = static_cast<std::uint16_t>(read_number(name, value, 1, 65535));
    return;
  }
  for (const Number& number : kNumbers) {
    if (name != number.name) continue;
    options.*number.field = read_number(name, value, number.least, std::numeric_limits<std::uint32_t>::max());
    return;
  }
  die("unknown option " + std::string(name));
}

}  // namespace

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (set_flag(options, name)) continue;
    if (++i == argc) die(std::string(name) + " takes a value");
    read_value(options, name, argv[i]);
  }
  if (options.port == 0) die("--port is missing");
  if (options.flood > 0 && options.mode != "latency") die("--flood is for the mode latency");
  if (options.idle > 0 && options.mode == "fanout") die("--idle is not for the mode fanout: all receive there");
  return options;
}
