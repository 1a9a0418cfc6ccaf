// SPDX-License-Identifier: MIT
//
// Usage: load --port PORT [--mode MODE] [OPTION]...
//
// A client that gives a WebSocket server on 127.0.0.1 something to do, on one thread. Once everything is connected and
// warm it prints 'ready'; a line on its input makes it begin; at the end it prints the result, a JSON object on a line,
// and stays connected until a further line, or the end of the input. Everything that comes back is compared byte by
// byte with what must come. Modes:
//   echo      each connection has `outstanding` messages under way
//   fanout    the first connection sends, all of them receive; a message to one receiver counts as one
//   connect   `messages` times: a connection, the opening handshake and the closing handshake, `connections` at a time
//   idle      each connection has had one message echoed, and stays open
//   latency   `rate` messages a second in all, for `seconds`; how long after the time when it was due each came back
//   storm     all connections connect at once
//   soak      for `seconds`, connections that come, exchange messages of all kinds, and go in all ways; see bench/soak
// Options, with their defaults:
//   --connections 100   how many
//   --size 20           of a message, in bytes
//   --outstanding 1     echo, fanout: messages under way, on each connection that sends
//   --messages 100000   echo, fanout, connect: how many in all
//   --limit 0           echo, fanout, connect: fewer when it takes more than so many seconds; 0: it may take any time
//                       latency: what has not come back by then does not count; 0: after twice the time
//   --warmup 0          as many of them before 'ready'
//   --rate 10000, --seconds 5   latency, soak: see there
//   --flood 0           latency: so many connections more, each of which has messages of 1 MiB echoed all the time
//   --idle 0            not idle: so many connections more that stay open and silent
//   --timeout 60        seconds; storm: who is not in by then is not counted; else: to give up when nothing happens
//   --sleep             latency: when nothing is due it leaves its core to others
//   --text              text messages, not binary ones
//   --tls               over TLS, whatever certificate the server has

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "connection.h"
#include "exchange.h"
#include "handshakes.h"
#include "json.h"
#include "latency.h"
#include "loop.h"
#include "options.h"
#include "soak.h"
#include "support.h"

void die(const std::string& what) {
  std::fprintf(stderr, "load: %s\n", what.c_str());
  std::exit(1);
}

void die_of_error(const char* what) { die(std::string(what) + ": " + std::strerror(errno)); }

namespace {

constexpr std::size_t kFloodBytes = 1U << 20U;

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        target_{options.port, options.tls ? make_tls_context() : nullptr},
        frames_(options.size, options.text),
        flood_frames_(kFloodBytes, false),
        connections_(options.connections),
        idle_(options.idle),
        flood_(options.flood) {}

  // What happens before 'ready'.
  void prepare() {
    open(idle_, frames_);
    for (Connection& connection : idle_) connection.leave_loop();
    if (options_.mode == "storm" || options_.mode == "soak") return;
    if (options_.mode == "connect") {
      connect(options_.warmup);
      return;
    }
    open(connections_, frames_);
    exchange_.run(options_.mode == "idle" ? connections_.size() : options_.warmup);
    open(flood_, flood_frames_);
  }

  // Adds what there is to tell to the result. Returns how many messages, or connections, that were.
  std::size_t run(JsonObject& result) {
    if (options_.mode == "connect") return connect(options_.messages);
    if (options_.mode == "storm") {
      Storm storm(options_, loop_, target_, frames_, connections_);
      const std::size_t opened = storm.run();
      storm.describe(result);
      return opened;
    }
    if (options_.mode == "soak") {
      Soak soak(options_, loop_, target_);
      const std::size_t lives = soak.run();
      soak.describe(result);
      return lives;
    }
    if (options_.mode == "latency") {
      Latency latency(options_, loop_, connections_, flood_);
      const std::size_t answered = latency.run();
      latency.describe(result);
      return answered;
    }
    return options_.mode == "idle" ? connections_.size() : exchange_.run(options_.messages);
  }

  // At the end.
  void check_idle() {
    for (Connection& connection : idle_) connection.check_idle();
    if (options_.mode != "idle") return;
    for (Connection& connection : connections_) connection.check_idle();
  }

 private:
  void open(std::vector<Connection>& connections, const Frames& frames) {
    open_all(loop_, target_, frames, connections, options_.timeout_s);
  }

  std::size_t connect(std::size_t count) {
    return connect_and_close(options_, loop_, target_, frames_, connections_, count);
  }

  const Options& options_;
  const Target target_;
  const Frames frames_;
  const Frames flood_frames_;
  const Loop loop_;
  std::vector<Connection> connections_;
  std::vector<Connection> idle_;
  std::vector<Connection> flood_;
  Exchange exchange_{options_, loop_, connections_};
};

// As many connections as the system allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void wait_for_line() {
  int character;
  do character = std::getchar();
  while (character != '\n' && character != EOF);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  if (options.sleep) ::prctl(PR_SET_TIMERSLACK, 1);
  raise_descriptor_limit();
  Load load(options);
  load.prepare();
  std::puts("ready");
  std::fflush(stdout);
  wait_for_line();
  JsonObject result;
  result.add("mode", options.mode)
      .add("connections", static_cast<double>(options.connections))
      .add("size", static_cast<double>(options.size));
  const std::int64_t begin_ns = now_ns();
  const auto count = static_cast<double>(load.run(result));
  const double seconds = to_seconds(now_ns() - begin_ns);
  load.check_idle();
  result.add("count", count).add("seconds", seconds);
  std::puts(result.text().c_str());
  std::fflush(stdout);
  wait_for_line();
  return 0;
}
