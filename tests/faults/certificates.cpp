// SPDX-License-Identifier: MIT
// What OpenSSL does: certificates that are read, and read again, and what clients agree upon with the server.
#include <openssl/ssl.h>

#include "scenarios.h"

namespace websockets::faults {

using namespace protocol_support;

namespace {

void converse(Play& play, int version) {
  Client& client = play.connect_by_tls(version);
  client.expect({"text:one"});
  client.send(handshake("/"));
  client.send(text_frame("one"));
  play.serve();
}

void act(Play& play) { converse(play, TLS1_3_VERSION); }

void act_old(Play& play) { converse(play, TLS1_2_VERSION); }

void act_reload(Play& play) {
  play.call("reload");
  converse(play, TLS1_3_VERSION);
}

const std::map<std::string, int> kNotes = {{"open", 1}, {"closed", 1}, {"message", 1}};
const std::map<std::string, int> kReloadNotes = {{"open", 1}, {"closed", 1}, {"message", 1}, {"reloaded", 1}};

}  // namespace

const Scenario kCertificates = {"certificates", "certificates", act, kNotes, "epoll", "start", true};
const Scenario kReload = {"reload", "certificates", act_reload, kReloadNotes, "epoll", "reload", true};
const Scenario kHandshake = {"handshake", "tls", act, kNotes, "epoll", "step"};
const Scenario kOldHandshake = {"old_handshake", "tls", act_old, kNotes, "epoll", "step", true};

}  // namespace websockets::faults
