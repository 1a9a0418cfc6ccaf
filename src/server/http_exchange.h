// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/budget.h"
#include "base/output_queue.h"
#include "base/pinned_payload.h"
#include "http/request_parser.h"
#include "http/responder.h"
#include "http/response.h"
#include "net/proxy_header.h"
#include "server/admission.h"
#include "server/client_identity.h"
#include "server/pending_upgrade.h"
#include "server/stats.h"
#include "websocket/handshake.h"

namespace websockets {

class Connection;
struct ContextOptions;
struct Subprotocol;

// The HTTP side of a connection, until it becomes a websocket: reads requests, one after the other, and answers them;
// what the context's owner answers is between begin and end of on_http, or later if it said defer(). http_exchange.cpp
// answers requests, upgrade.cpp makes websockets of them.
class HttpExchange final : public Responder {
 public:
  HttpExchange(Connection& connection, const ContextOptions& options);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Whether a request is there in full, until it was answered.
  bool has_request() const { return phase_ != Phase::kReading; }
  const Request& request() const override { return parser_.request(); }
  // Whether the client uses TLS, be it to a trusted proxy.
  bool is_secure() const { return is_secure_; }
  // The subprotocol that was chosen; null when it is not for a websocket.
  const Subprotocol* protocol() const { return protocol_; }

  // --- For the owner, while awaits_answer() ---

  // A request is there and has no answer yet. The calls below do nothing otherwise. Meanwhile a client that sends no
  // more is taken for gone: the connection ends.
  bool awaits_answer() const { return phase_ == Phase::kAwaiting; }
  // The answer will come after on_http has returned.
  void defer() { deferred_ = true; }
  bool is_deferred() const { return deferred_; }
  using Responder::respond;
  void respond(ResponseHead& head, std::span<const std::uint8_t> body, PinnedPayload pinned) override;
  void respond_with_file(ResponseHead& head, const SharedFile& file, std::span<const FilePart> parts,
                         std::string_view end) override;
  // Answers with the regular file, or 404 when there is none and 405 when the request is not GET or HEAD: false then.
  bool serve_file(const char* path, std::string_view content_type);
  // Sends bytes as they are; the connection ends when they have left. May be called several times within on_http.
  void write_raw(std::span<const std::uint8_t> bytes);
  bool is_raw() const { return raw_; }

  // --- For the connection ---

  bool takes_input() const { return phase_ == Phase::kReading; }
  // The connection's peer is known.
  void start();
  // A header of the PROXY protocol comes before everything else: for read_proxy_header(), which takes bytes from the
  // front of `input`, none that is behind it, and for end_proxy_header() when it is there, or is none. False: the
  // connection ends.
  bool awaits_proxy_header() const { return identity_.awaits_header(); }
  ProxyHeaderParser::Status read_proxy_header(std::span<const std::uint8_t>& input) {
    return identity_.read_header(input);
  }
  bool end_proxy_header(ProxyHeaderParser::Status status);
  // Somebody decides whether it becomes a websocket.
  bool is_deciding() const { return phase_ == Phase::kDeciding; }
  // Who answers is not done yet. What comes meanwhile is kept.
  bool keeps_input() const { return awaits_answer() || is_deciding(); }
  // Takes requests from the front of `input`, until one has to wait. May destroy this object: when the connection has
  // become a websocket. Takes from `budget` what it does.
  void consume(std::span<std::uint8_t>& input, Budget& budget);
  void on_timeout();
  // For what it waits for now, while no output waits.
  std::uint64_t timeout_ms(const ContextOptions& options) const;
  // Answers for an owner that has forgotten to decide.
  void run_deferred();
  // The server ends.
  void shut_down();
  std::size_t request_bytes() const { return parser_.bytes(); }
  // There is no memory for the request.
  void give_up();
  // Answers a client that does not speak TLS where it should.
  void refuse_plain_text();
  // Says why the connection was not admitted.
  void refuse(AdmissionVerdict why);

 private:
  friend class Connection;
  friend class PendingUpgrade;

  enum class Phase : std::uint8_t { kReading, kAwaiting, kDeciding, kAnswered };

  // What has arrived of a request, each of which has a time of its own for the rest.
  enum class Stage : std::uint8_t { kNothing, kBeginning, kHead };

  static constexpr std::string_view kTextType = "text/plain; charset=utf-8";

  struct Answer {
    int status;
    std::string_view text;  // of the body
    std::vector<std::pair<std::string_view, std::string_view>> headers = {};
  };

  void handle_request();
  void on_incomplete();
  bool has_content_progress(const ContextOptions& options);
  bool identify_client();
  void refuse_proxy_header();

  // upgrade.cpp
  void upgrade(std::string_view upgrade);
  HandshakeVerdict check_upgrade(std::string_view upgrade) const;
  bool allows_origin(const ContextOptions& options) const;
  void refuse_handshake(const HandshakeVerdict& verdict);
  void ask_for_decision();
  // May destroy this object, and so may grant().
  void decide(const UpgradeAnswer& answer);
  std::string negotiate_compression() const;
  void grant(std::string_view header_lines);
  void refuse(const UpgradeAnswer& answer);

  // The last answer of a connection, which says why its client does not get what it came for. `request`: null when it
  // has not arrived.
  void refuse(RefusalReason reason, const Answer& refusal, const Request* request = nullptr);
  void answer(const Answer& answer, bool keep_alive);
  template <typename QueueBody>
  void send_answer(ResponseHead& head, QueueBody queue_body);
  void settle();

  Connection& connection_;
  RequestParser parser_;
  ClientIdentity identity_;
  const Subprotocol* protocol_ = nullptr;
  std::shared_ptr<PendingUpgrade> pending_;
  std::size_t seen_content_bytes_ = 0;  // when the timer fired last
  Stage stage_ = Stage::kNothing;
  bool is_secure_ = false;
  Phase phase_ = Phase::kReading;
  bool in_handler_ = false;
  bool deferred_ = false;
  bool raw_ = false;
  bool keep_alive_ = false;      // after this answer
  bool was_kept_alive_ = false;  // there was a request before this one
};

}  // namespace websockets
