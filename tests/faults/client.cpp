// SPDX-License-Identifier: MIT
#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/bytes.h"
#include "protocol_reference.h"

namespace websockets::faults {

using namespace protocol_support;

namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";

SSL_CTX* tls_context() {
  static SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  return context;
}

// Frames as they would be without permessage-deflate; those that are not complete are left out.
Bytes decompressed(const Bytes& input) {
  Bytes plain;
  Inflater inflater(15);
  for (std::size_t at = 0; at + 2 <= input.size();) {
    std::size_t header = 2;
    std::size_t length = input[at + 1] & 0x7FU;
    if (length == 126) header = 4;
    if (length == 126 && at + header <= input.size()) length = input[at + 2] * 256U + input[at + 3];
    if (at + header + length > input.size()) break;
    Bytes frame(input.begin() + static_cast<std::ptrdiff_t>(at),
                input.begin() + static_cast<std::ptrdiff_t>(at + header + length));
    if ((frame[0] & 0x40U) != 0) {
      Bytes packed(frame.begin() + static_cast<std::ptrdiff_t>(header), frame.end());
      for (const int byte : {0, 0, 0xFF, 0xFF}) packed.push_back(static_cast<std::uint8_t>(byte));
      Bytes text(65536);
      std::span<const std::uint8_t> rest = packed;
      std::span<std::uint8_t> space = text;
      if (!inflater.inflate(rest, space)) break;
      FrameSpec spec{.opcode = static_cast<Opcode>(frame[0] & 0x0FU), .masked = false};
      spec.payload = to_text(std::span(text).first(text.size() - space.size()));
      frame = make_frame(spec);
    }
    plain.insert(plain.end(), frame.begin(), frame.end());
    at += header + length;
  }
  return plain;
}

// One that nobody has come from before.
void bind_to_new_address(int fd) {
  static std::uint32_t number = 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + ++number);
  ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

std::size_t content_length(std::string_view head) {
  constexpr std::string_view kName = "\r\nContent-Length: ";
  const std::size_t at = head.find(kName);
  std::size_t length = 0;
  if (at != std::string_view::npos) std::from_chars(head.data() + at + kName.size(), head.data() + head.size(), length);
  return length;
}

}  // namespace

std::string handshake(std::string_view target, std::string_view headers) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + std::string(headers) + "\r\n";
}

bool is_refusal(const std::string& event) { return event.starts_with("500:") || event.starts_with("503:"); }

Client::Client(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  connect(&address, sizeof address, AF_UNIX);
}

Client::Client(std::uint16_t port, int tls_version) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(&address, sizeof address, AF_INET);
  if (tls_version == 0) return;
  ssl_.reset(SSL_new(tls_context()));
  SSL_set_max_proto_version(ssl_.get(), tls_version);
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl_.get());
  take({});
}

// What listens on this machine has a connection at once.
void Client::connect(const void* address, unsigned size, int family) {
  fd_.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (family == AF_INET) bind_to_new_address(fd_.get());
  if (::connect(fd_.get(), static_cast<const sockaddr*>(address), size) != 0) close();
}

void Client::send(std::string_view bytes) {
  unsent_ += bytes;
  transmit();
}

void Client::send(const Bytes& frame) { send(to_text(frame)); }

void Client::send_compressed(std::string_view text) {
  const bool keeps_window = received_.find("client_no_context_takeover") == std::string::npos;
  if (deflater_ == nullptr || !keeps_window) deflater_ = std::make_unique<Deflater>(DeflateSettings{6, 15, 8});
  ByteBuffer packed;
  deflater_->compress(as_bytes(text), packed);
  send(make_frame({.payload = to_text(packed.bytes()), .rsv_bits = 0x40}));
}

void Client::transmit() {
  if (ssl_ != nullptr) {
    if (SSL_is_init_finished(ssl_.get()) == 1 && !unsent_.empty()) {
      SSL_write(ssl_.get(), unsent_.data(), static_cast<int>(unsent_.size()));
      unsent_.clear();
    }
    char* records = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &records);
    if (fd_ && size > 0) ::send(fd_.get(), records, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    static_cast<void>(BIO_reset(SSL_get_wbio(ssl_.get())));
    return;
  }
  if (fd_) ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
  unsent_.clear();
}

void Client::take(std::string_view bytes) {
  if (ssl_ == nullptr) {
    received_ += bytes;
    return;
  }
  if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  std::array<char, 16384> plain;
  int count = 1;
  while (count > 0) {
    count = SSL_read(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
    if (count > 0) received_.append(plain.data(), static_cast<std::size_t>(count));
  }
  if (SSL_get_error(ssl_.get(), count) != SSL_ERROR_WANT_READ) has_ended_ = true;
  transmit();
}

void Client::read() {
  std::array<char, 65536> buffer;
  ssize_t count = 1;
  while (fd_ && count > 0) {
    count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) take({buffer.data(), static_cast<std::size_t>(count)});
    if (count == 0 || (count < 0 && errno != EAGAIN)) has_ended_ = true;
  }
}

void Client::answer_close() {
  if (has_ended_) close();
  if (has_answered_) return;
  const Outcome all = outcome();
  if (all.events.empty() || !all.events.back().starts_with("close ")) return;
  has_answered_ = true;
  send(close_frame(close_body(1001)));
}

Outcome Client::messages(std::string_view bytes) const {
  ReceiveRules rules;
  rules.expect_masked = false;
  const Bytes input = to_bytes(bytes);
  return Reference(deflater_ == nullptr ? input : decompressed(input), rules).outcome();
}

Outcome Client::outcome() const {
  Outcome all;
  std::string_view rest = received_;
  for (std::size_t end = rest.find(kEndOfHead); end != std::string_view::npos; end = rest.find(kEndOfHead)) {
    const std::string_view head = rest.substr(0, end + 2);
    const std::string status(rest.substr(0, std::min<std::size_t>(rest.size(), 12)).substr(9));
    rest.remove_prefix(end + kEndOfHead.size());
    const std::size_t length = content_length(head);
    if (length > rest.size()) break;
    all.events.push_back(status + ":" + std::string(rest.substr(0, length)));
    rest.remove_prefix(length);
    if (status != "101") continue;
    Outcome rest_of_it = messages(rest);
    all.error = rest_of_it.error;
    all.events.insert(all.events.end(), rest_of_it.events.begin(), rest_of_it.events.end());
    break;
  }
  return all;
}

std::size_t Client::lacks() const {
  std::vector<std::string> events = outcome().events;
  std::size_t count = 0;
  for (const std::string& answer : expected_) {
    const auto found = std::find(events.begin(), events.end(), answer);
    if (found == events.end()) {
      ++count;
    } else {
      events.erase(found);
    }
  }
  return count;
}

bool Client::waits() const {
  const Outcome all = outcome();
  const bool has_ended = has_ended_ || !fd_ || (!all.events.empty() && all.events.back().starts_with("close "));
  const auto refusals = static_cast<std::size_t>(std::count_if(all.events.begin(), all.events.end(), is_refusal));
  return !has_ended && lacks() > refusals;
}

}  // namespace websockets::faults
