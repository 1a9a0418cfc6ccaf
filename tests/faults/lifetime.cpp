// SPDX-License-Identifier: MIT
// Another process that serves; a server that nobody talks to; names that are looked up.
#include "scenarios.h"

namespace websockets::faults {

using namespace protocol_support;

namespace {

void act_fork(Play& play) {
  Client& client = play.connect();
  client.expect({"text:echo"});
  client.send(handshake("/"));
  play.serve(3);
  play.call("fork");
  client.send(text_frame("echo"));
  play.serve(3);
}

void act_waits(Play& play) { play.serve(10); }

void act_names(Play& play) {
  Client& client = play.connect_by_tcp();
  client.expect({"200:known"});
  client.send(std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  play.serve(3);
}

}  // namespace

// What its callbacks note is noted in the other process.
const Scenario kFork = {"fork", "fork", act_fork, {{"open", 1}}, "epoll", "fork"};
const Scenario kForkEnds = {"fork_ends", "fork", act_fork, {{"open", 1}}, "epoll", "stop"};
const Scenario kWaits = {"waits", "waits", act_waits, {}};
const Scenario kNames = {"names", "names", act_names, {{"request", 1}}};

}  // namespace websockets::faults
