// SPDX-License-Identifier: MIT
// Many clients that are gone when something is sent to all of them, and others that are there still at the end.
#include "scenarios.h"

namespace websockets::faults {

using namespace protocol_support;

namespace {

constexpr int kClients = 80;

void act(Play& play) {
  for (int i = 0; i < kClients; ++i) {
    Client& client = play.connect();
    client.send(handshake("/"));
    if (i < 4) client.expect({"text:published"});
  }
  play.serve();
  play.close_all_but(8);
  play.call("publish");
  play.serve(2);
}

void act_full(Play& play) {
  for (int i = 0; i < 4; ++i) play.connect().send(handshake("/"));
  play.serve();
  play.call("fill");
}

}  // namespace

const Scenario kCrowd = {"crowd", "crowd", act, {{"open", kClients}, {"closed", kClients}}, "epoll", "publish"};
const Scenario kCrowdInBatches = {"crowd_in_batches", "crowd",  act, {{"open", kClients}, {"closed", kClients}},
                                  "io_uring",         "publish"};

// Each with so much to be sent that nothing more is taken.
const Scenario kFullAtTheEnd = {"full_at_the_end", "crowd", act_full, {{"open", 4}, {"closed", 4}}, "epoll", "stop"};

}  // namespace websockets::faults
