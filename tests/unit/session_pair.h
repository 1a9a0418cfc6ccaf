// SPDX-License-Identifier: MIT
// A server's and a client's session, and between them two wires that take bytes in pieces of any size. Where an
// allocation fails, what had been called is left, and nothing more is done about it.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "session_fixture.h"
#include "websocket/deflate_negotiation.h"
#include "websocket/prepared_message.h"

namespace websockets::session_support {

class Pair {
 public:
  // `agreed`: by permessage-deflate; null: it was not negotiated.
  explicit Pair(const DeflateParameters* agreed = nullptr, const MessageRate& rate = {})
      : servers(Role::kServer, rate),
        clients(Role::kClient, rate),
        server(servers, agreed == nullptr ? nullptr : std::make_unique<MessageCompression>(server_pool_, *agreed)),
        client(clients,
               agreed == nullptr ? nullptr : std::make_unique<MessageCompression>(client_pool_, mirrored(*agreed))) {}

  // Moves at most so many bytes at once, one way and the other, until nothing is left to be done.
  void run(std::size_t at_once = FakeCarrier::kAnything) {
    bool has_moved = true;
    while (has_moved) {
      has_moved = move(client, server, to_server_, at_once);
      has_moved = move(server, client, to_client_, at_once) || has_moved;
    }
  }

 private:
  struct Wire {
    Bytes waiting;
    bool has_ended = false;
  };

  template <typename Function>
  static void attempt(Function function) {
    try {
      function();
    } catch (const std::bad_alloc&) {
    }
  }

  static bool move(Side& from, Side& to, Wire& wire, std::size_t at_once) {
    bool has_moved = std::exchange(from.carrier.is_deferred, false);
    if (has_moved) attempt([&] { from.session.run_deferred(); });
    from.carrier.flush();
    std::optional<FailingAllocation::Pause> pause(std::in_place);
    wire.waiting.insert(wire.waiting.end(), from.carrier.sent.begin(), from.carrier.sent.end());
    from.carrier.sent.clear();
    if (to.carrier.ended) wire.waiting.clear();
    Bytes piece(wire.waiting.begin(),
                wire.waiting.begin() + static_cast<std::ptrdiff_t>(std::min(at_once, wire.waiting.size())));
    pause.reset();
    if ((!piece.empty() || to.session.has_pending_input()) && to.session.wants_input()) {
      std::span<std::uint8_t> input(piece);
      attempt([&] { to.receive(input); });
      const auto taken = static_cast<std::ptrdiff_t>(piece.size() - input.size());
      wire.waiting.erase(wire.waiting.begin(), wire.waiting.begin() + taken);
      has_moved = true;
    }
    // What lingers, or waits for the peer, shuts down its side at most.
    if (from.carrier.ended && *from.carrier.ended != Carrier::End::kAwaitPeer && wire.waiting.empty() &&
        from.carrier.output().empty() && !std::exchange(wire.has_ended, true)) {
      to.session.on_end_of_input();
      has_moved = true;
    }
    return has_moved;
  }

  CompressionPool server_pool_{{.wanted = {}, .min_bytes = 20}};
  CompressionPool client_pool_{{.wanted = {}, .min_bytes = 20}};
  Wire to_server_;
  Wire to_client_;

 public:
  Endpoint servers;
  Endpoint clients;
  Side server;
  Side client;
};

// What one side says, and what the other one should hear.
struct Said {
  Opcode opcode = Opcode::kText;
  std::string payload;
  bool fin = true;
  bool is_prepared = false;
};

inline WriteStatus say(Side& side, const Said& said) {
  if (!said.is_prepared) return side.session.send(said.opcode, said.fin, as_bytes(said.payload));
  PreparedMessage message(side.endpoint.memory, said.opcode, as_bytes(said.payload));
  return side.session.send(message);
}

// In the order in which they arrive: what is prepared waits for the end of a message in fragments. Pongs, without those
// that answer something.
inline Log heard_of(const std::vector<Said>& all) {
  Log heard;
  Log held;
  std::string message;
  for (const Said& said : all) {
    if (said.opcode == Opcode::kPong) heard.push_back("pong:" + said.payload);
    if (is_control(said.opcode)) continue;
    if (said.is_prepared) {
      held.push_back((said.opcode == Opcode::kText ? "text:" : "binary:") + said.payload);
    } else {
      if (said.opcode != Opcode::kContinuation) message = said.opcode == Opcode::kText ? "text:" : "binary:";
      message += said.payload;
      if (said.fin) heard.push_back(std::exchange(message, {}));
    }
    if (message.empty()) {
      heard.insert(heard.end(), held.begin(), held.end());
      held.clear();
    }
  }
  return heard;
}

}  // namespace websockets::session_support
