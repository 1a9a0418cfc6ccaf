// SPDX-License-Identifier: MIT
// What the server in messages.lua does, and the same in other ways: by other drivers, in loops of others, by TLS,
// compressed.
#include "scenarios.h"

namespace websockets::faults {

using namespace protocol_support;

namespace {

void converse(Play& play, Client& first, Client& second, Client& http) {
  const std::string kRequest = "GET /file HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string large(6000, 'b');
  std::string body;
  for (int i = 0; i < 2000; ++i) body += "body";
  first.expect({"text:one", "binary:" + large, "pong:ping", "text:fragmented"});
  second.expect(std::vector<std::string>(5, "text:burst"));
  http.expect({"200:" + body, "200:" + body});

  first.send(handshake("/"));
  second.send(handshake("/?later=yes"));
  http.send(kRequest);
  play.serve();
  first.send(text_frame("one"));
  first.send(binary_frame(large));
  first.send(text_frame("frag", false));
  first.send(ping_frame("ping"));
  play.serve();
  first.send(continuation_frame("mented", true));
  for (int i = 0; i < 5; ++i) second.send(text_frame("burst"));
  http.send(kRequest);
  play.serve();
  first.send(text_frame("publish"));
  play.serve();
  second.send(text_frame("broadcast"));
  play.serve();
  first.send(text_frame("close"));
  first.send(close_frame(close_body(1000)));
  second.send(close_frame(close_body(1000, "bye")));
  play.serve();
}

void act(Play& play) {
  Client& first = play.connect();
  Client& second = play.connect();
  converse(play, first, second, play.connect());
}

void act_by_tls(Play& play) {
  Client& first = play.connect_by_tls();
  Client& second = play.connect_by_tls();
  converse(play, first, second, play.connect_by_tls());
}

void act_compressed(Play& play) {
  Client& client = play.connect();
  const std::string text = "a text that is as long as that it can be worth while to compress it, that is: compress it";
  client.expect({"text:" + text, "text:" + text, "text:" + text});
  client.send(handshake("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
  play.serve(3);
  for (int i = 0; i < 3; ++i) client.send_compressed(text);
  play.serve(3);
  client.send_compressed("publish");
  play.serve(3);
  client.send(close_frame(close_body(1000)));
  play.serve(3);
}

void act_pings(Play& play) {
  Client& client = play.connect();
  Client& refused = play.connect();
  client.expect({"ping:first", "text:first again", "ping:one", "text:one of 1", "ping:two", "text:two of 1"});
  client.send(handshake("/"));
  refused.send("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  play.serve(3);
  client.send(pong_frame("first"));
  play.serve(3);
  for (const char* const text : {"one", "two", "too many"}) client.send(text_frame(text));
  play.serve(3);
}

const std::map<std::string, int> kNotes = {{"open", 2}, {"closed", 2}, {"message", 11}, {"request", 2}};
const std::map<std::string, int> kCompressedNotes = {{"open", 1}, {"closed", 1}, {"message", 4}};
const std::map<std::string, int> kPingNotes = {{"open", 1}, {"closed", 1}, {"message", 2}, {"pong first", 1}};

}  // namespace

const Scenario kMessages = {"messages", "messages", act, kNotes};
const Scenario kByPoll = {"by_poll", "messages", act, kNotes, "poll"};
const Scenario kByIoUring = {"by_io_uring", "messages", act, kNotes, "io_uring"};
const Scenario kOuterLoop = {"outer_loop", "outer_loop", act, kNotes};
const Scenario kOneDescriptor = {"one_descriptor", "one_descriptor", act, kNotes};
const Scenario kTls = {"tls", "tls", act_by_tls, kNotes, "epoll", "step", true};
const Scenario kPings = {"pings", "pings", act_pings, kPingNotes};
const Scenario kDeflate = {"deflate", "deflate", act_compressed, kCompressedNotes};
const Scenario kDeflateTakeover = {"deflate_takeover", "deflate_takeover", act_compressed, kCompressedNotes};

}  // namespace websockets::faults
