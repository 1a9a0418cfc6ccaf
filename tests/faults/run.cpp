// SPDX-License-Identifier: MIT
// Servers that serve themselves, with timers, until they are stopped.
#include "scenarios.h"

namespace websockets::faults {

using namespace protocol_support;

namespace {

void connect(Play& play) {
  for (int i = 0; i < 2; ++i) {
    Client& client = play.connect();
    client.expect({"text:one"});
    client.send(handshake("/"));
    client.send(text_frame("one"));
  }
}

void act(Play& play) {
  connect(play);
  play.call("run");
}

// What is served in another way before.
void act_late(Play& play) {
  connect(play);
  play.serve(3);
  play.call("run");
}

const std::map<std::string, int> kNotes = {{"open", 2}, {"closed", 2}, {"message", 2}, {"after", 2}, {"stop", 1}};
const std::map<std::string, int> kSignalNotes = {{"open", 2},  {"closed", 2},  {"message", 2},
                                                 {"after", 2}, {"SIGTERM", 1}, {"cut short", 1}};

}  // namespace

const Scenario kRun = {"run", "run", act, kNotes};
const Scenario kRunByPoll = {"run_by_poll", "run", act, kNotes, "poll"};
const Scenario kRunInOuterLoop = {"run_in_outer_loop", "run_in_outer_loop", act_late, kNotes};
const Scenario kSignals = {"signals", "signals", act_late, kSignalNotes};

}  // namespace websockets::faults
