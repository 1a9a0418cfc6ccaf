// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/budget.h"
#include "http/request_parser.h"
#include "http/responder.h"
#include "net/proxy_header.h"
#include "server/admission.h"
#include "server/client_identity.h"
#include "server/http_carrier.h"
#include "server/pending_upgrade.h"
#include "server/refusals.h"
#include "server/server_rules.h"

namespace websockets {

// The HTTP side of a connection, until it becomes a websocket: reads requests, one after the other, and answers them.
// What the server's owner answers is between begin and end of on_http, or later if it said defer(). Bytes in, events
// and bytes out: knows no socket. Functions that answer throw std::bad_alloc; what is queued may be half an answer
// then, and the connection ends.
class HttpExchange final : public Responder, private PendingUpgrade::Owner {
 public:
  HttpExchange(HttpCarrier& carrier, const ServerRules& rules);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Whether a request is there in full, until it was answered.
  bool has_request() const { return state_ >= State::kDeferred && state_ <= State::kDeciding; }
  const Request& request() const override { return parser_.request(); }
  // Whether the client uses TLS, be it to a trusted proxy.
  bool is_secure() const { return is_secure_; }
  // The subprotocol that was chosen; null when it is not for a websocket.
  const Subprotocol* subprotocol() const { return subprotocol_; }

  // --- For the server's owner; the answer only while awaits_answer() ---

  // A request is there and has no answer yet. Meanwhile a client that sends no more is taken for gone: the connection
  // ends.
  bool awaits_answer() const { return state_ >= State::kDeferred && state_ <= State::kDeferring; }
  // The answer will come after on_http has returned.
  void defer() {
    if (state_ == State::kUnanswered) state_ = State::kDeferring;
  }
  bool is_deferred() const { return state_ == State::kDeferring || state_ == State::kDeferred; }
  using Responder::respond;
  void respond(ResponseHead& head, std::span<const std::uint8_t> body, PinnedPayload pinned) override;
  void respond_with_file(ResponseHead& head, const SharedFile& file, std::span<const FilePart> parts,
                         std::string_view end) override;
  // Sends bytes as they are; the connection ends when they have left. May be called several times within on_http.
  void write_raw(std::span<const std::uint8_t> bytes);
  bool is_raw() const { return state_ == State::kAnsweredRaw; }

  // --- For the carrier ---

  // The connection is there, and its peer known.
  void start();
  // A header of the PROXY protocol comes before everything else: for read_proxy_header(), which takes bytes from the
  // front of `input`, none that is behind it, and for end_proxy_header() when it is there, or is none. False: the
  // exchange has ended.
  bool awaits_proxy_header() const { return takes_input() && identity_.awaits_header(); }
  ProxyHeaderParser::Status read_proxy_header(std::span<const std::uint8_t>& input) {
    return identity_.read_header(input);
  }
  bool end_proxy_header(ProxyHeaderParser::Status status);

  bool takes_input() const { return state_ <= State::kHead; }
  // An answer is being awaited; input that comes meanwhile is kept.
  bool keeps_input() const { return awaits_answer() || state_ == State::kDeciding; }
  // Takes requests from the front of `input`, until one has to wait. May destroy this object: when the connection has
  // become a websocket. Takes from `budget` what it does.
  void consume(std::span<std::uint8_t>& input, Budget& budget);
  void on_deadline();
  // How long it waits for what it waits for now, while no output waits.
  std::uint64_t timeout_ms() const;
  // Does what was deferred: ends after half an answer, or refuses what nobody will decide about.
  void run_deferred();
  // The server ends.
  void shut_down();
  // The connection has ended, whoever wanted it: it takes nothing more.
  void on_ended();
  std::size_t request_bytes() const { return parser_.bytes(); }
  // There is no memory for the request.
  void shed();
  // Answers a client that does not speak TLS where it should.
  void refuse_plain_text();
  // Says why the connection was not admitted.
  void refuse(AdmissionVerdict why);

 private:
  enum class State : std::uint8_t {
    // So much of a request has arrived; each has a time of its own for the rest:
    kNothing,
    kBeginning,
    kHead,
    // It is there in full. on_http has returned, and the answer is to come:
    kDeferred,
    // on_http is called with it:
    kUnanswered,   // and has not answered
    kDeferring,    // likewise, but the answer may come later
    kAnswered,     // and has answered
    kAnsweredRaw,  // likewise, and may add to it
    // Somebody decides whether it becomes a websocket.
    kDeciding,
    kBroken,  // half an answer is queued: ends in run_deferred()
    kEnded,
  };

  void handle_request();
  void on_incomplete();
  bool has_content_progress();
  bool identify_client();

  void upgrade();
  void ask_for_decision();
  // May destroy this object, and so may grant().
  void decide(const UpgradeAnswer& answer);
  void grant(std::string_view header_lines);
  void reject(const UpgradeAnswer& answer);
  void on_answer(const UpgradeAnswer& answer) override;
  void on_abandoned() noexcept override { carrier_.defer(); }

  // The last answer of a connection, which says why its client does not get what it came for. `request`: null when it
  // has not arrived.
  void refuse(const RefusalAnswer& refusal, const Request* request = nullptr);
  void answer(int status, std::string_view text, bool keep_alive);
  template <typename QueueBody>
  void send_answer(ResponseHead& head, QueueBody queue_body);
  void end_answer(State within_call);
  void settle();
  bool is_in_call() const { return state_ >= State::kUnanswered && state_ <= State::kAnsweredRaw; }
  bool has_output() const { return !carrier_.output().empty(); }

  HttpCarrier& carrier_;
  const ServerRules& rules_;
  RequestParser parser_;
  ClientIdentity identity_;
  const Subprotocol* subprotocol_ = nullptr;
  std::shared_ptr<PendingUpgrade> pending_;
  std::size_t seen_content_bytes_ = 0;  // when the deadline came last
  State state_ = State::kNothing;
  bool is_secure_ = false;
  bool keep_alive_ = false;      // after this answer
  bool was_kept_alive_ = false;  // there was a request before this one
};

}  // namespace websockets
