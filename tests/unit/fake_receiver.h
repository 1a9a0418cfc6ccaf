// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <new>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "server/hub.h"
#include "server/options.h"
#include "server/receiver.h"
#include "websocket/prepared_message.h"

namespace websockets {

// A websocket that notes what it gets: "t:" and "b:" and the payload of text and binary messages, "c:" of callbacks.
struct FakeReceiver final : Receiver {
  using Got = std::vector<std::string>;

  Got got;
  std::vector<CloseCode> failures;
  int sends = 0;
  WriteStatus status = WriteStatus::kAccepted;
  bool is_short_of_memory_before = false;  // the frame is made
  bool is_short_of_memory = false;         // behind that
  std::function<bool()> callback;
};

class FakeReceiverOwner final : public ReceiverOwner {
 public:
  WriteStatus send(Receiver& receiver, PreparedMessage& message) override {
    auto& to = static_cast<FakeReceiver&>(receiver);
    ++to.sends;
    if (to.is_short_of_memory_before) throw std::bad_alloc();
    const SharedFrame& frame = message.frame_for(nullptr).bytes;
    if (to.is_short_of_memory) throw std::bad_alloc();
    if (to.status != WriteStatus::kAccepted) return to.status;
    const bool is_text = (frame->front() & 0x0FU) == static_cast<unsigned>(Opcode::kText);
    to.got.push_back((is_text ? "t:" : "b:") + std::string(as_text(message.payload())));
    return to.status;
  }
  bool on_broadcast(Receiver& receiver, std::span<const std::uint8_t> data) override {
    auto& to = static_cast<FakeReceiver&>(receiver);
    to.got.push_back("c:" + std::string(as_text(data)));
    return to.callback == nullptr || to.callback();
  }
  void defer_failure(Receiver& receiver, CloseCode code) override {
    static_cast<FakeReceiver&>(receiver).failures.push_back(code);
  }
};

// A hub of two subprotocols, and what it needs.
struct FakeHub {
  static ContextOptions options() {
    ContextOptions made;
    made.protocols = {"chat", "echo"};
    return made;
  }

  FakeReceiverOwner owner;
  MemoryBudget memory{0};
  Hub hub{options(), owner, memory};
};

}  // namespace websockets
