// SPDX-License-Identifier: MIT
// A whole context and a few clients, on sockets of the system, in one thread: what they do, what callbacks do, which
// system calls fail, and how the time goes, is in the input. Whatever it is: what a client has sent is delivered in
// order from the first message on; what it gets are whole frames; and each event comes as often as it should.
#include "server/context.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "context_client.h"
#include "fake_system.h"
#include "fuzz_support.h"
#include "server/connection.h"
#include "server/handler.h"
#include "server/http_exchange.h"
#include "server/pending_upgrade.h"

using namespace websockets;
using namespace websockets::protocol_support;
using fuzz::Client;
using fuzz::Compression;
using fuzz::kBroadcast;
using fuzz::kMaxLargeMessageBytes;
using fuzz::kMaxMessageBytes;
using fuzz::SentStreams;

namespace {

constexpr std::size_t kClients = 3;

// What was seen of one websocket; `Connection::user`.
struct Seen {
  std::string chunks;                  // of the message that is under way
  std::vector<std::string> delivered;  // messages
  bool is_closed = false;
};

class Server final : public Handler {
 public:
  Server(int listener, unsigned flags, const Compression* compression, const SentStreams& sent, fuzz::Input& input)
      : sent_(sent), input_(input) {
    ContextOptions options;
    options.listen = {"fd:" + std::to_string(listener)};
    options.protocols = {"p"};
    options.driver = (flags & 1U) != 0 ? "poll" : "epoll";
    options.rules.max_message_bytes = (flags & 128U) != 0 ? kMaxLargeMessageBytes : kMaxMessageBytes;
    options.max_backpressure_bytes = 8192;
    options.drops_when_full = (flags & 2U) != 0;
    options.reports_refusals = true;
    options.asks_before_upgrade = (flags & 4U) != 0;
    if ((flags & 32U) != 0) options.max_memory_bytes = 12'000;
    if ((flags & 64U) != 0) options.max_connections = kClients - 1;
    if (compression != nullptr) options.compression = compression->options;
    Result<std::unique_ptr<Context>> created = Context::create(options, *this);
    EXPECT_TRUE(created) << created.error().text;
    context_ = std::move(*created);
  }
  ~Server() {
    context_->destroy();
    context_.reset();
    EXPECT_TRUE(open_.empty());
    EXPECT_EQ(opened_, closed_);
    check_delivered();
  }

  Context& context() { return *context_; }
  Hub& hub() { return context_->hub(); }
  void echo_quietly() { is_quiet_ = true; }  // from now on callbacks only echo

  Connection* pick() {
    if (open_.empty()) return nullptr;
    return open_[input_.byte() % open_.size()];
  }

  // Something that a program may do at any time.
  void act() {
    constexpr int kAnswers[] = {101, 403, kNone};
    const Loop::Round round(context_->loop());
    const unsigned action = input_.byte() % 18;
    if (action == 0) return context_->destroy();
    if (action == 1) return context_->service(0);
    if (action == 2) return static_cast<void>(hub().broadcast(*hub().find("p"), as_bytes(kBroadcast)));
    if (action == 3) return answer_pending(kAnswers[input_.byte() % 3]);
    if (action == 16) return static_cast<void>(hub().publish("topic", Opcode::kText, as_bytes(kBroadcast)));
    if (action == 17) return context_->shut_down(input_.byte(), CloseCode::kGoingAway, "bye");
    Connection* const connection = pick();
    if (connection == nullptr) return;
    Session& session = *connection->session();
    const std::string text(1 + input_.below(600), 's');
    switch (action) {
      case 4:
        return connection->close(CloseCode::kNormal, "bye");
      case 5:
        return connection->terminate();
      case 6:
        return connection->set_reading(input_.byte() % 2 == 0);
      case 7:
        session.send_close(CloseCode::kNone, {});
        return;
      case 8:
        return connection->set_broadcast_mode(input_.byte() % 2 == 0 ? BroadcastMode::kCallback
                                                                     : BroadcastMode::kForwardText);
      case 9:
        session.set_notifies_pongs(true);
        return session.set_notifies_drain(true);
      case 10:
        if (!session.is_fragmenting()) session.send(Opcode::kText, false, as_bytes(text));
        return;
      case 11:
        if (session.is_fragmenting()) session.send(Opcode::kContinuation, true, as_bytes(text));
        return;
      case 12:
        return session.set_chunk_mode(input_.byte() % 2 == 0);
      case 14:
        if (connection->is_open()) hub().subscribe(*connection, "topic");
        return;
      case 15:
        hub().unsubscribe(*connection, "topic");
        return;
      default:
        session.send(Opcode::kPing, true, as_bytes(text.substr(0, 100)));
    }
  }

  bool on_upgrade(Connection&, const HttpExchange&, const std::shared_ptr<PendingUpgrade>& pending) override {
    const unsigned choice = input_.byte() % 4;
    if (choice == 3) return react();  // nobody will answer
    pending_.push_back(pending);
    if (choice == 1) answer_pending(101);
    if (choice == 2) answer_pending(403);
    return react();
  }
  bool on_open(Connection& connection, const HttpExchange&) override {
    ++opened_;
    open_.push_back(&connection);
    connection.user = new Seen;
    return react();
  }
  bool on_messages(Session& session, MessageBatch& messages) override {
    auto& seen = seen_of(session);
    MessageBatch::Message message;
    bool is_first = true;
    bool succeeded = true;
    while (succeeded && (is_first || session.takes_messages()) && messages.next(message)) {
      is_first = false;
      EXPECT_FALSE(seen.is_closed);
      EXPECT_TRUE(seen.chunks.empty());
      take(session, message.type, message.payload);
      succeeded = react();
    }
    return succeeded;
  }
  bool on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) override {
    auto& seen = seen_of(session);
    EXPECT_FALSE(seen.is_closed);
    EXPECT_LE(session.remaining_frame_bytes(), is_last ? 0 : kMaxLargeMessageBytes);
    seen.chunks += to_text(piece);
    if (is_last) take(session, type, as_bytes(std::exchange(seen.chunks, {})));
    return react();
  }
  bool on_broadcast(Connection& connection, std::span<const std::uint8_t> data) override {
    EXPECT_TRUE(connection.is_open());
    EXPECT_EQ(to_text(data), kBroadcast);
    return react();
  }
  void on_refused(const Refusal& /*refusal*/) override { react(); }
  bool on_pong(Session& session, std::span<const std::uint8_t> /*data*/) override {
    EXPECT_TRUE(session.takes_messages());
    return react();
  }
  bool on_drained(Session& session) override {
    EXPECT_TRUE(session.is_open());
    if (!session.is_fragmenting()) EXPECT_EQ(session.buffered_bytes(), 0U);
    return react();
  }
  void on_closed(Session& session, CloseCode, std::string_view) override {
    ++closed_;
    auto& seen = seen_of(session);
    EXPECT_FALSE(std::exchange(seen.is_closed, true));
    EXPECT_EQ(std::erase(open_, &connection_of(session)), 1U);
    EXPECT_EQ(session.send(Opcode::kText, true, {}), WriteStatus::kClosed);
    react();
  }
  Session* session_of(Receiver&) override { return nullptr; }
  bool on_http(Connection& connection, const Request&) override {
    const unsigned choice = input_.byte() % 4;
    ResponseHead head{.content_type = "text/plain"};
    if (choice == 0) connection.http()->write_raw(as_bytes("HTTP/1.1 200 OK\r\n\r\n"));
    if (choice == 1) connection.http()->respond(head, as_bytes("hello"));
    if (choice == 3) connection.http()->defer();
    return react();
  }
  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_freed(Connection& connection) override {
    auto* const seen = static_cast<Seen*>(connection.user);
    EXPECT_TRUE(seen->is_closed);
    delivered_.push_back(std::move(seen->delivered));
    delete seen;
  }
  void on_shut_down(CloseCode, std::string_view) override {}
  void on_destroy() override {}
  void on_abandon() override {}
  void on_add_fd(int) override {}
  void on_del_fd(int) override {}
  void release_payload(int) override {}

  const std::vector<Connection*>& open() const { return open_; }

 private:
  static Connection& connection_of(Session& session) { return static_cast<Connection&>(session.carrier()); }
  static Seen& seen_of(Session& session) { return *static_cast<Seen*>(session.carrier().user); }

  static void take(Session& session, MessageType type, std::span<const std::uint8_t> message) {
    const bool is_text = type == MessageType::kText;
    seen_of(session).delivered.push_back((is_text ? "text:" : "binary:") + to_text(message));
    if (!session.is_fragmenting()) session.send(is_text ? Opcode::kText : Opcode::kBinary, true, message);
  }

  // Each connection has got the messages of a client from the first one on: none is missing in between, or comes twice.
  void check_delivered() const {
    std::vector<std::vector<std::string>> sent;
    for (const std::string& stream : sent_) {
      sent.push_back(fuzz::read_sent(stream).events);
      std::erase_if(sent.back(), [](const auto& event) { return !event.starts_with("text:") && event[0] != 'b'; });
    }
    for (const auto& messages : delivered_) {
      EXPECT_TRUE(std::any_of(sent.begin(), sent.end(),
                              [&](const auto& all) {
                                return messages.size() <= all.size() &&
                                       std::equal(messages.begin(), messages.end(), all.begin());
                              }))
          << messages.size() << " messages, not all of them as they were sent";
    }
  }

  static constexpr int kNone = 0;

  // The answer has an effect once at most, and none when the client has left.
  void answer_pending(int status) {
    if (pending_.empty()) return;
    const std::shared_ptr<PendingUpgrade> pending = pending_.back();
    pending_.pop_back();
    if (status == kNone) return pending->abandon();
    UpgradeAnswer answer;
    answer.status = status;
    pending->answer(std::move(answer));
    UpgradeAnswer another;
    EXPECT_NE(pending->answer(std::move(another)), PendingUpgrade::Status::kWaiting);
  }

  // What a callback does. False: it fails.
  bool react() {
    if (is_quiet_ || depth_ > 3) return true;
    if (calm_calls_ > 0) {
      --calm_calls_;
      return true;
    }
    const unsigned reaction = input_.byte();
    if (reaction == 255) return false;
    if (reaction < 200) {
      calm_calls_ = reaction;
      return true;
    }
    ++depth_;
    act();
    --depth_;
    return true;
  }

  const SentStreams& sent_;
  fuzz::Input& input_;
  std::unique_ptr<Context> context_;
  std::vector<Connection*> open_;
  std::vector<std::shared_ptr<PendingUpgrade>> pending_;
  std::vector<std::vector<std::string>> delivered_;  // on each connection that is gone
  std::size_t opened_ = 0;
  std::size_t closed_ = 0;
  int depth_ = 0;
  unsigned calm_calls_ = 0;  // so many callbacks only echo
  bool is_quiet_ = false;
};

void send_frames(Client& client, std::size_t count, fuzz::Input& input) {
  constexpr Opcode kOpcodes[] = {Opcode::kText, Opcode::kBinary, Opcode::kContinuation,
                                 Opcode::kPing, Opcode::kPong,   Opcode::kClose};
  const unsigned kind = input.byte();
  FrameSpec spec;
  spec.opcode = kOpcodes[kind % std::size(kOpcodes)];
  spec.fin = (kind & 128U) == 0 || is_control(spec.opcode);
  std::size_t size = input.below(is_control(spec.opcode) ? 126 : 1200);
  if ((kind & 32U) != 0 && !is_control(spec.opcode)) size *= 20;
  spec.payload = spec.opcode == Opcode::kClose ? close_body(1000) : std::string(size, 'c');
  client.send(spec, count,
              spec.fin && (kind & 64U) != 0 && (spec.opcode == Opcode::kText || spec.opcode == Opcode::kBinary));
}

struct Clients {
  int listener;
  Compression* compression;
  SentStreams sent{};
  std::array<std::unique_ptr<Client>, kClients> all{};

  std::unique_ptr<Client> connect() { return std::make_unique<Client>(listener, compression, sent); }
};

void step(Server& server, Clients& clients, fuzz::Input& input) {
  const unsigned operation = input.byte();
  std::unique_ptr<Client>& client = clients.all[operation % kClients];
  constexpr std::uint64_t kTimes[] = {1, 500, 5'000, 15'000, 100'000};
  switch ((operation / kClients) % 12) {
    case 0:
      client = clients.connect();
      return client->write(client->handshake());
    case 1:
      if (client != nullptr) send_frames(*client, 1, input);
      return;
    case 2:
      for (int i = 0; client != nullptr && i < 3; ++i) send_frames(*client, 1, input);
      return;
    case 3: {
      client = clients.connect();
      const std::size_t count = input.below(64);
      std::string bytes;
      while (bytes.size() < count) bytes.push_back(static_cast<char>(input.byte()));
      return client->write(bytes);
    }
    case 4:
      if (client != nullptr) client->shutdown();
      return;
    case 5:
      client.reset();
      return;
    case 6:
      if (client != nullptr) client->read();
      return;
    case 7:
      fuzz::fake_system.now_ms += kTimes[input.byte() % std::size(kTimes)];
      return server.context().service(0);
    case 8:
      return server.act();
    case 11: {
      client = clients.connect();
      std::string handshake = client->handshake();
      const std::size_t place = input.below(handshake.size());
      handshake[place] = static_cast<char>(input.byte());
      return client->write(handshake);
    }
    case 10:
      if (client != nullptr) send_frames(*client, input.below(1000), input);
      return;
    default:
      return server.context().service(0);
  }
}

int make_listener() {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family);  // a name that the system picks
  ::listen(fd, 16);
  return fd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  std::string faults(input.byte() % 64, '\0');
  for (char& fault : faults) fault = static_cast<char>(input.byte());
  fuzz::fake_system = {};
  const int listener = make_listener();
  Compression compression(flags);
  Clients clients{listener, (flags & 8U) != 0 ? &compression : nullptr};
  {
    Server server(listener, flags, clients.compression, clients.sent, input);
    fuzz::fake_system.faults = faults;
    while (!input.rest().empty() && !server.context().is_destroyed()) step(server, clients, input);
    // Then all goes well, and everything comes to its end.
    fuzz::fake_system.faults = {};
    server.echo_quietly();
    for (int i = 0; i < 8 && !server.context().is_destroyed(); ++i) {
      for (Connection* connection : server.open()) connection->set_reading(true);
      server.context().service(0);
      for (const auto& client : clients.all) {
        if (client != nullptr) client->read();
      }
    }
    for (const auto& client : clients.all) {
      if (client != nullptr) client->check();
    }
  }
  return 0;
}
