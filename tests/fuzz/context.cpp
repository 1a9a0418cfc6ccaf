// SPDX-License-Identifier: MIT
// A whole context and a few clients, on sockets of the system, in one thread: what they do, what callbacks do, which
// system calls fail, and how the time goes, is in the input. Whatever it is: what a client has sent is delivered in
// order, or the connection ends; what it gets are whole frames; and each event comes as often as it should.
#include "server/context.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "fake_system.h"
#include "fuzz_support.h"
#include "protocol/bytes.h"
#include "protocol_reference.h"
#include "server/connection.h"
#include "server/http_exchange.h"
#include "server/pending_upgrade.h"

using namespace websockets;
using namespace websockets::protocol_support;

namespace {

constexpr std::size_t kClients = 3;
constexpr std::uint64_t kMaxMessageBytes = 4096;
constexpr std::string_view kBroadcast = "to all";
constexpr std::string_view kHandshake =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

// What was seen of one websocket; `Connection::user`.
struct Seen {
  std::vector<std::string> messages;
  bool is_closed = false;
};

class Server final : public ContextHandler {
 public:
  Server(int listener, unsigned flags, fuzz::Input& input) : input_(input) {
    ContextOptions options;
    options.listen = {"fd:" + std::to_string(listener)};
    options.protocols = {"p"};
    options.driver = (flags & 1U) != 0 ? "poll" : "epoll";
    options.rules.max_message_bytes = kMaxMessageBytes;
    options.max_backpressure_bytes = 8192;
    options.drops_when_full = (flags & 2U) != 0;
    options.asks_before_upgrade = (flags & 4U) != 0;
    Result<std::unique_ptr<Context>> created = Context::create(options, *this);
    EXPECT_TRUE(created) << created.error().text;
    context_ = std::move(*created);
  }
  ~Server() {
    context_->destroy();
    context_.reset();
    EXPECT_TRUE(open_.empty());
    EXPECT_EQ(opened_, closed_);
  }

  Context& context() { return *context_; }
  void echo_quietly() { is_quiet_ = true; }  // from now on callbacks only echo

  Connection* pick() {
    if (open_.empty()) return nullptr;
    return open_[input_.byte() % open_.size()];
  }

  // Something that a program may do at any time.
  void act() {
    const Context::Round round(*context_);
    const unsigned action = input_.byte() % 13;
    if (action == 0) return context_->destroy();
    if (action == 1) return context_->service(0);
    if (action == 2) return context_->broadcast(*context_->find_protocol("p"), as_bytes(kBroadcast));
    if (action == 3) return answer_pending(input_.byte() % 2 == 0 ? 101 : 403);
    Connection* const connection = pick();
    if (connection == nullptr) return;
    const std::string text(1 + input_.below(600), 's');
    switch (action) {
      case 4:
        return connection->close(CloseCode::kNormal, "bye");
      case 5:
        return connection->terminate();
      case 6:
        return connection->set_reading(input_.byte() % 2 == 0);
      case 7:
        connection->write_close(CloseCode::kNone, {});
        return;
      case 8:
        return connection->set_broadcast_mode(input_.byte() % 2 == 0 ? BroadcastMode::kCallback
                                                                     : BroadcastMode::kForwardText);
      case 9:
        return connection->set_wants_drained(true);
      case 10:
        if (!connection->is_fragmenting()) connection->write(Opcode::kText, false, as_bytes(text));
        return;
      case 11:
        if (connection->is_fragmenting()) connection->write(Opcode::kContinuation, true, as_bytes(text));
        return;
      default:
        connection->write(Opcode::kPing, true, as_bytes(text.substr(0, 100)));
    }
  }

  bool on_upgrade(Connection&, const HttpExchange&, const std::shared_ptr<PendingUpgrade>& pending) override {
    const unsigned choice = input_.byte() % 4;
    if (choice == 3) return react();  // nobody will answer, unless it is destroyed now
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
  bool on_messages(Connection& connection, MessageRun& messages) override {
    auto& seen = *static_cast<Seen*>(connection.user);
    MessageRun::Message message;
    bool is_first = true;
    bool succeeded = true;
    while (succeeded && (is_first || connection.takes_messages()) && messages.next(message)) {
      is_first = false;
      EXPECT_FALSE(seen.is_closed);
      const bool is_text = message.type == MessageType::kText;
      seen.messages.push_back((is_text ? "text:" : "binary:") + to_text(message.payload));
      if (!connection.is_fragmenting()) {
        connection.write(is_text ? Opcode::kText : Opcode::kBinary, true, message.payload);
      }
      succeeded = react();
    }
    return succeeded;
  }
  bool on_chunk(Connection&, MessageType, std::span<const std::uint8_t>, bool) override { return true; }
  bool on_broadcast(Connection& connection, std::span<const std::uint8_t> data) override {
    EXPECT_TRUE(connection.is_open());
    EXPECT_EQ(to_text(data), kBroadcast);
    return react();
  }
  bool on_drained(Connection& connection) override {
    EXPECT_TRUE(connection.is_open());
    if (!connection.is_fragmenting()) EXPECT_EQ(connection.buffered_bytes(), 0U);
    return react();
  }
  void on_closed(Connection& connection, CloseCode, std::string_view) override {
    ++closed_;
    auto& seen = *static_cast<Seen*>(connection.user);
    EXPECT_FALSE(std::exchange(seen.is_closed, true));
    EXPECT_EQ(std::erase(open_, &connection), 1U);
    EXPECT_EQ(connection.write(Opcode::kText, true, {}), WriteStatus::kClosed);
    react();
  }
  bool on_http(Connection& connection, const Request&) override {
    if (input_.byte() % 2 == 0) connection.http()->write_raw(connection, as_bytes("HTTP/1.1 200 OK\r\n\r\n"));
    return true;
  }
  void on_served() override {}
  void on_freed(Connection& connection) override {
    auto* const seen = static_cast<Seen*>(connection.user);
    EXPECT_TRUE(seen->is_closed);
    delete seen;
  }
  void on_add_fd(int) override {}
  void on_del_fd(int) override {}
  void release_payload(int) override {}

  const std::vector<Connection*>& open() const { return open_; }

 private:
  // The answer has an effect once at most, and none when the client has left.
  void answer_pending(int status) {
    if (pending_.empty()) return;
    const std::shared_ptr<PendingUpgrade> pending = pending_.back();
    pending_.pop_back();
    UpgradeAnswer answer;
    answer.status = status;
    pending->answer(std::move(answer));
    UpgradeAnswer another;
    EXPECT_NE(pending->answer(std::move(another)), PendingUpgrade::Status::kWaiting);
  }

  // What a callback does. False: it fails.
  bool react() {
    if (is_quiet_ || depth_ > 3) return true;
    const unsigned reaction = input_.byte();
    if (reaction == 255) return false;
    if (reaction < 200) return true;
    ++depth_;
    act();
    --depth_;
    return true;
  }

  fuzz::Input& input_;
  std::unique_ptr<Context> context_;
  std::vector<Connection*> open_;
  std::vector<std::shared_ptr<PendingUpgrade>> pending_;
  std::size_t opened_ = 0;
  std::size_t closed_ = 0;
  int depth_ = 0;
  bool is_quiet_ = false;
};

class Client {
 public:
  explicit Client(int listener) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    const int bytes = 4096;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) close();
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) {
    if (fd_ < 0) return;
    sent_ += bytes;
    // What does not fit is lost, and the stream with it.
    if (::syscall(SYS_sendto, fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL, nullptr, 0) !=
        static_cast<ssize_t>(bytes.size())) {
      close();
    }
  }
  void read() {
    std::array<char, 4096> buffer;
    while (fd_ >= 0) {
      const ssize_t count = ::syscall(SYS_recvfrom, fd_, buffer.data(), buffer.size(), 0, nullptr, nullptr);
      if (count <= 0) return;
      received_.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }
  void shutdown() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // What has come is an answer to the handshake, then whole frames. The echoes among them are what was sent, in order;
  // some may be missing: what was not delivered, or found no room.
  void check() const {
    const std::size_t end = received_.find("\r\n\r\n");
    if (!received_.starts_with("HTTP/1.1 101 ") || end == std::string::npos) return;
    AssemblerRules rules;
    rules.max_message_bytes = kMaxMessageBytes;
    const Reference sent(to_bytes(std::string_view(sent_).substr(kHandshake.size())), rules);
    rules.expect_masked = false;
    const Reference received(to_bytes(std::string_view(received_).substr(end + 4)), rules);
    EXPECT_EQ(received.outcome().error, ProtocolError::kNone);
    auto next = sent.outcome().events.begin();
    for (const std::string& event : received.outcome().events) {
      if (!is_echo(event)) continue;
      next = std::find(next, sent.outcome().events.end(), event);
      ASSERT_NE(next, sent.outcome().events.end()) << "was not sent: " << event;
      ++next;
    }
  }

 private:
  // Clients' payloads consist of 'c', or nothing.
  static bool is_echo(const std::string& event) {
    return event.starts_with("binary:") ||
           (event.starts_with("text:") && event.find('s', 5) == std::string::npos && !event.ends_with(kBroadcast));
  }

  int fd_;
  std::string sent_;
  std::string received_;
};

std::string frame_from(fuzz::Input& input) {
  constexpr Opcode kOpcodes[] = {Opcode::kText, Opcode::kBinary, Opcode::kContinuation,
                                 Opcode::kPing, Opcode::kPong,   Opcode::kClose};
  const unsigned kind = input.byte();
  FrameSpec spec;
  spec.opcode = kOpcodes[kind % std::size(kOpcodes)];
  spec.fin = (kind & 128U) == 0 || is_control(spec.opcode);
  const std::size_t size = input.below(is_control(spec.opcode) ? 126 : 1200);
  spec.payload = spec.opcode == Opcode::kClose ? close_body(1000) : std::string(size, 'c');
  return to_text(make_frame(spec));
}

using Clients = std::array<std::unique_ptr<Client>, kClients>;

void step(Server& server, Clients& clients, int listener, fuzz::Input& input) {
  const unsigned operation = input.byte();
  std::unique_ptr<Client>& client = clients[operation % kClients];
  constexpr std::uint64_t kTimes[] = {1, 500, 5'000, 15'000, 100'000};
  switch ((operation / kClients) % 10) {
    case 0:
      client = std::make_unique<Client>(listener);
      return client->send(kHandshake);
    case 1:
      if (client != nullptr) client->send(frame_from(input));
      return;
    case 2:
      if (client != nullptr) client->send(frame_from(input) + frame_from(input) + frame_from(input));
      return;
    case 3: {
      client = std::make_unique<Client>(listener);
      const std::size_t count = input.below(64);
      std::string bytes;
      while (bytes.size() < count) bytes.push_back(static_cast<char>(input.byte()));
      return client->send(bytes);
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
  Clients clients;
  {
    Server server(listener, flags, input);
    fuzz::fake_system.faults = faults;
    while (!input.rest().empty() && !server.context().is_destroyed()) step(server, clients, listener, input);
    // Then all goes well, and everything comes to its end.
    fuzz::fake_system.faults = {};
    server.echo_quietly();
    for (int i = 0; i < 8 && !server.context().is_destroyed(); ++i) {
      for (Connection* connection : server.open()) connection->set_reading(true);
      server.context().service(0);
      for (const auto& client : clients) {
        if (client != nullptr) client->read();
      }
    }
    for (const auto& client : clients) {
      if (client != nullptr) client->check();
    }
  }
  return 0;
}
