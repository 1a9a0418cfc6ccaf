// SPDX-License-Identifier: MIT
// A session without a socket: what its peer sends, what its application does, also within each event, and how much the
// peer takes, all by the input. Whatever it is, the peer, which has a reader of its own, understands all that it gets,
// the messages among it are the ones that were accepted, and what was received is what a plain reader finds.
#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fuzz_support.h"
#include "protocol_reference.h"
#include "reader_feeder.h"
#include "session_pair.h"
#include "websocket/prepared_message.h"

using namespace websockets;
using namespace websockets::protocol_support;
using namespace websockets::session_support;

namespace {

// Writes down what the peer gets.
class Peer final : public Recorder {
 public:
  Peer(Role role, std::unique_ptr<MessageCompression> compression) : compression_(std::move(compression)) {
    rules_.expect_masked = role == Role::kServer;
  }

  MessageCompression* compression() override { return compression_.get(); }
  void take(Bytes bytes) {
    std::span<std::uint8_t> input(bytes);
    while ((!input.empty() || reader_.is_inflating()) && !closed()) {
      Budget budget;
      const ProtocolError error = reader_.consume(input, rules_, *this, budget);
      ASSERT_EQ(error, ProtocolError::kNone) << describe(error).text;
    }
    EXPECT_TRUE(input.empty()) << "something behind the Close frame";
  }

 private:
  ReceiveRules rules_;
  std::unique_ptr<MessageCompression> compression_;
  MessageReader reader_;
};

class Keeper final : public PayloadOwner {
 public:
  void release_payload(int) override { --held; }
  int held = 0;
};

DeflateParameters take_parameters(fuzz::Input& input) {
  const unsigned flags = input.byte();
  constexpr std::array<std::uint8_t, 4> kBits = {9, 10, 12, 15};
  return {.server_no_context_takeover = (flags & 1U) != 0,
          .client_no_context_takeover = (flags & 2U) != 0,
          .server_max_window_bits = kBits[(flags >> 2U) % 4],
          .client_max_window_bits = kBits[(flags >> 4U) % 4]};
}

bool is_message(const std::string& event) { return event.rfind("text:", 0) == 0 || event.rfind("binary:", 0) == 0; }

class Play {
 public:
  explicit Play(fuzz::Input input) : input_(input), flags_(input_.byte()), limits_(input_.byte()) {
    if ((flags_ & 2U) != 0) agreed_ = take_parameters(input_);
    ReceiveRules& receive = endpoint_.rules.receive;
    if ((limits_ & 1U) != 0) receive.max_message_bytes = 200;
    if ((limits_ & 2U) != 0) endpoint_.rules.max_backpressure_bytes = 300;
    if ((limits_ & 4U) != 0) endpoint_.rules.keepalive = {.ping_interval_ms = 10, .idle_timeout_ms = 25};
    receive.check_utf8 = (limits_ & 8U) == 0;
    side_.emplace(endpoint_, compression(pool_, role() == Role::kServer));
    const Role other = role() == Role::kServer ? Role::kClient : Role::kServer;
    peer_.emplace(other, compression(peer_pool_, role() != Role::kServer));
    side_->handler.action = [this](Session&, const std::string& event) { return on_event(event); };
    side_->session.set_notifies_drain((limits_ & 16U) != 0);
    side_->session.set_notifies_pongs((limits_ & 32U) != 0);
    side_->session.set_chunk_mode((limits_ & 64U) != 0);
    side_->carrier.at_once = (limits_ & 128U) != 0 ? 7 : FakeCarrier::kAnything;
    side_->carrier.room = 0;
    side_->carrier.during_receive = [this] { deliver(); };
  }
  ~Play() { side_.reset(); }

  void run() {
    session().start(now_ms_);
    while (!input_.rest().empty()) {
      step();
      check();
    }
    // What has begun comes to its end.
    side_->carrier.room = FakeCarrier::kAnything;
    side_->carrier.flush();
    side_->carrier.run_deferred();
    side_->carrier.flush();
    check();
    const bool was_open = session().is_open();
    if (was_open && !session().is_fragmenting()) EXPECT_EQ(heard(), said());
    session().terminate();
    check();
    if (!is_abandoned_) EXPECT_EQ(closed_, 1);
    EXPECT_EQ(session().received_bytes(), 0U);
    EXPECT_EQ(session().held_output_bytes(), 0U);
    EXPECT_EQ(endpoint_.memory.used(), 0U);
    EXPECT_EQ(keeper_.held, 0);
  }

 private:
  Role role() const { return (flags_ & 1U) != 0 ? Role::kClient : Role::kServer; }
  Session& session() { return side_->session; }
  std::unique_ptr<MessageCompression> compression(CompressionPool& pool, bool is_server) {
    if (!agreed_) return nullptr;
    return std::make_unique<MessageCompression>(pool, is_server ? *agreed_ : mirrored(*agreed_));
  }

  // --- What the peer sends ---

  // A frame that is right, as far as that does not depend on what was before it.
  void add_frame() {
    constexpr std::array kOpcodes = {Opcode::kContinuation, Opcode::kText, Opcode::kBinary, Opcode::kText,
                                     Opcode::kPing,         Opcode::kPong, Opcode::kClose,  Opcode::kContinuation};
    const unsigned kind = input_.byte();
    const Opcode opcode = kOpcodes[kind % 8];
    std::string payload = letters(is_control(opcode) ? input_.byte() % 126 : input_.below(1500));
    if (opcode == Opcode::kClose) payload = (kind & 8U) != 0 ? "" : close_body(1000 + input_.byte() % 16, "why");
    const bool is_last = is_control(opcode) || (kind & 16U) == 0;
    const Bytes frame = make_frame(
        {.opcode = opcode, .payload = std::move(payload), .fin = is_last, .masked = role() == Role::kServer});
    waiting_.insert(waiting_.end(), frame.begin(), frame.end());
  }

  void add_bytes() {
    const std::size_t count = std::min<std::size_t>(input_.byte(), input_.rest().size());
    for (std::size_t i = 0; i < count; ++i) waiting_.push_back(static_cast<std::uint8_t>(input_.byte()));
  }

  // By a message that the other side would have compressed.
  void add_compressed() {
    if (!agreed_) return;
    const Bytes message = to_bytes(letters(1 + input_.below(3000)));
    ByteBuffer compressed;
    if (!peer_->compression()->compress(message, compressed)) return;
    const Bytes frame = make_frame({.opcode = Opcode::kText,
                                    .payload = to_text(compressed.bytes()),
                                    .masked = role() == Role::kServer,
                                    .rsv_bits = 0x40});
    waiting_.insert(waiting_.end(), frame.begin(), frame.end());
  }

  void deliver(std::size_t most = FakeCarrier::kAnything) {
    if (is_delivering_) return;
    is_delivering_ = true;
    const auto count = static_cast<std::ptrdiff_t>(std::min(most, waiting_.size()));
    Bytes bytes(waiting_.begin(), waiting_.begin() + count);
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    std::span<std::uint8_t> rest(bytes);
    const Bytes before = bytes;
    if (const std::span<std::uint8_t> space = session().direct_space(); !space.empty()) {
      const std::size_t taken = std::min(space.size(), rest.size());
      std::copy_n(rest.begin(), taken, space.begin());
      rest = rest.subspan(taken);
      Budget budget;
      if (taken > 0) session().received_in_place(taken, budget, now_ms_);
    }
    Budget budget(limits_ % 2 == 0 ? kQuantum : 20);
    session().receive(rest, budget, now_ms_);
    const auto used = static_cast<std::ptrdiff_t>(bytes.size() - rest.size());
    given_.insert(given_.end(), before.begin(), before.begin() + used);
    waiting_.insert(waiting_.begin(), before.begin() + used, before.end());
    is_delivering_ = false;
  }

  // --- What the application does ---

  std::string letters(std::size_t count) {
    std::string text(count, '\0');
    for (char& one : text) one = static_cast<char>('a' + letter_++ * 7 % 26);
    return text;
  }

  void send(unsigned kind) {
    constexpr std::array kOpcodes = {Opcode::kText, Opcode::kBinary, Opcode::kPing, Opcode::kPong};
    Said said{.opcode = kOpcodes[kind % 4]};
    const bool is_prepared = (kind & 4U) != 0 && !is_control(said.opcode);
    said.payload = letters(is_control(said.opcode) ? kind % 126 : input_.below(2500));
    if (!is_control(said.opcode) && !is_prepared) {
      said.fin = (kind & 8U) == 0;
      if (session().is_fragmenting()) said.opcode = Opcode::kContinuation;
    }
    said.is_prepared = is_prepared;
    if (!is_prepared && (kind & 16U) != 0) {
      ++keeper_.held;
      const std::string& pinned = pinned_.emplace_back(said.payload);
      const WriteStatus status = session().send(said.opcode, said.fin, as_bytes(pinned), PinnedPayload(keeper_, 1));
      if (status == WriteStatus::kAccepted) accepted_.push_back(said);
    } else if (say(*side_, said) == WriteStatus::kAccepted) {
      accepted_.push_back(said);
    }
    if (closed_ > 0 && !accepted_.empty()) EXPECT_EQ(accepted_.size(), accepted_before_end_);
  }

  void act(unsigned kind) {
    switch (kind % 16) {
      case 0:
      case 1:
      case 2:
        return send(input_.byte());
      case 3:
        session().send_close(CloseCode::kGoingAway, "going");
        return;
      case 4:
        return session().close(CloseCode::kNormal, "closed");
      case 5:
        return session().terminate(CloseCode::kAbnormal, "");
      case 6:
        return session().fail(CloseCode::kPolicyViolation, "failed");
      case 7:
        return session().defer_failure(CloseCode::kTryAgainLater);
      case 8:
        return session().set_reading(false, now_ms_);
      case 9:
      case 10:
        return session().set_reading(true, now_ms_);
      case 11:
        return session().set_chunk_mode(true);
      case 12:
        return session().set_chunk_mode(false);
      case 13:
        side_->carrier.room += input_.byte();
        return;
      case 14:
        if (!is_delivering_) session().destroy(CloseCode::kServiceRestart);
        return;
      default:
        return;
    }
  }

  bool on_event(const std::string& event) {
    EXPECT_EQ(closed_, 0) << event << " behind the end";
    EXPECT_FALSE(is_abandoned_);
    if (event.rfind("closed ", 0) == 0) {
      ++closed_;
      EXPECT_EQ(side_->log[side_->log.size() - 2], "session closed");
      EXPECT_FALSE(session().is_open());
      accepted_before_end_ = accepted_.size();
    }
    const unsigned kind = input_.byte();
    if (kind < 96) return true;
    if (kind == 96) return false;
    act(kind);
    return true;
  }

  // --- What the carrier says ---

  void step() {
    const unsigned kind = input_.byte();
    switch (kind % 16) {
      case 0:
        return add_bytes();
      case 1:
      case 2:
        return add_frame();
      case 3:
        return add_compressed();
      case 4:
        return deliver();
      case 5:
        return deliver(input_.byte());
      case 6:
        side_->carrier.room += input_.below(3000);
        return side_->carrier.flush();
      case 7:
        return side_->carrier.run_deferred();
      case 8:
        now_ms_ += input_.byte();
        if (side_->carrier.deadline_ms) {
          side_->carrier.deadline_ms.reset();
          session().on_deadline(now_ms_, (kind & 16U) != 0);
        }
        return;
      case 9:
        session().note_received(now_ms_);
        return;
      case 10:
        if ((kind & 0xF0U) == 0) session().on_end_of_input();
        return;
      case 11:
        if ((kind & 0xF0U) == 0) session().on_broken();
        return;
      case 12:
        if ((kind & 0xF0U) != 0) return;
        is_abandoned_ = true;
        return session().abandon();
      default:
        return act(input_.byte());
    }
  }

  // --- What has to hold ---

  static Log messages_of(Log events) {
    std::erase_if(events, [](const std::string& event) { return !is_message(event); });
    return events;
  }
  Log heard() const { return messages_of(peer_->outcome.events); }
  Log said() const { return messages_of(heard_of(accepted_)); }

  void check() {
    peer_->take(std::exchange(side_->carrier.sent, {}));
    const Log got = heard();
    const Log messages = said();
    ASSERT_LE(got.size(), messages.size());
    EXPECT_TRUE(std::equal(got.begin(), got.end(), messages.begin()));
    EXPECT_EQ(std::count(side_->log.begin(), side_->log.end(), "session closed"), closed_ > 0 || is_abandoned_ ? 1 : 0);
    if (session().has_ended()) EXPECT_TRUE(side_->carrier.ended || is_abandoned_);
    if (!session().has_ended()) EXPECT_FALSE(side_->carrier.ended);
    if (!agreed_) check_received();
  }

  void check_received() {
    Log delivered;
    std::string chunks;
    for (const std::string& event : side_->log) {
      if (is_message(event)) delivered.push_back(event);
      const bool is_last = event.rfind("last ", 0) == 0;
      if (!is_last && event.rfind("chunk ", 0) != 0) continue;
      const std::size_t at = event.find(':') + 1;
      if (chunks.empty()) chunks = event.substr(event.find(' ') + 1, at - event.find(' ') - 1);
      chunks += event.substr(at);
      if (is_last) delivered.push_back(std::exchange(chunks, {}));
    }
    const Reference reference(given_, endpoint_.rules.receive);
    const Log found = messages_of(reference.outcome().events);
    ASSERT_LE(delivered.size(), found.size());
    EXPECT_TRUE(std::equal(delivered.begin(), delivered.end(), found.begin()));
    if (closed_ == 0 && !session().has_ended()) {
      EXPECT_EQ(delivered.size(), found.size());
      EXPECT_EQ(reference.outcome().error, ProtocolError::kNone);
    }
  }

  fuzz::Input input_;
  unsigned flags_;
  unsigned limits_;
  std::optional<DeflateParameters> agreed_;
  CompressionPool pool_{{.wanted = {}, .min_bytes = 20}};
  CompressionPool peer_pool_{{.wanted = {}, .min_bytes = 20}};
  Endpoint endpoint_{role(), MessageRate{}};
  Keeper keeper_;
  std::deque<std::string> pinned_;
  std::optional<Side> side_;
  std::optional<Peer> peer_;
  Bytes waiting_;  // on its way to the session
  Bytes given_;    // what it has taken
  std::vector<Said> accepted_;
  std::size_t accepted_before_end_ = 0;
  std::size_t letter_ = 0;
  std::uint64_t now_ms_ = 1000;
  int closed_ = 0;
  bool is_abandoned_ = false;
  bool is_delivering_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Play(fuzz::Input(data, size)).run();
  return 0;
}
