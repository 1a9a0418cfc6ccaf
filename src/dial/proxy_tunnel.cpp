// SPDX-License-Identifier: MIT
#include "dial/proxy_tunnel.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "http/basic_authorization.h"
#include "http/response.h"
#include "http/response_parser.h"
#include "http/websocket_url.h"
#include "net/socket_address.h"

namespace websockets {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::string_view without_zone(std::string_view host) { return host.substr(0, host.find('%')); }

class ConnectTunnel final : public ProxyTunnel {
 public:
  ConnectTunnel(const Proxy& proxy, std::string_view host, std::uint16_t port)
      : ProxyTunnel(proxy), parser_(ResponseParser::Asked::kTunnel) {
    const std::string target = authority(without_zone(host), port);
    output().append("CONNECT ").append(target).append(" HTTP/1.1\r\nHost: ").append(target).append("\r\n");
    if (!proxy.userinfo.empty()) {
      output().append("Proxy-Authorization: ").append(basic_authorization(proxy.userinfo)).append("\r\n");
    }
    output().append("\r\n");
  }

  Status consume(Bytes& input) override {
    if (status() != Status::kMore) return status();
    if (parser_.consume(input) == ResponseParser::Status::kError) return fail(parser_.error_text());
    if (!parser_.has_head()) return Status::kMore;
    const int answered = parser_.head().status();
    if (answered / 100 == 2) return set_status(Status::kDone);
    std::string why = "it answered " + std::to_string(answered);
    if (const std::string_view phrase = reason_phrase(answered); !phrase.empty()) why.append(" ").append(phrase);
    return fail(why, answered == 407 ? Final::kYes : Final::kNo);
  }

 private:
  ResponseParser parser_;
};

// RFC 1928 6.
std::string_view text_of_reply(unsigned code) {
  switch (code) {
    case 1:
      return "it could not connect (general failure)";
    case 2:
      return "its rules do not allow this connection";
    case 3:
      return "it cannot reach the network";
    case 4:
      return "it cannot reach the host";
    case 5:
      return "the host refused the connection";
    case 6:
      return "the connection took it too long (TTL expired)";
    case 7:
      return "it does not know the command CONNECT";
    case 8:
      return "it does not know this type of address";
    default:
      return "it gave a reply that is none of SOCKS 5";
  }
}

class SocksTunnel final : public ProxyTunnel {
 public:
  SocksTunnel(const Proxy& proxy, std::string_view host, std::uint16_t port)
      : ProxyTunnel(proxy), userinfo_(proxy.userinfo), host_(without_zone(host)), port_(port) {
    if (host_.size() > kMostBytes) {
      fail("the host's name is longer than 255 bytes", Final::kYes);
    } else if (user().size() > kMostBytes || password().size() > kMostBytes) {
      fail("the user's name or the password is longer than 255 bytes", Final::kYes);
    } else if (userinfo_.empty()) {
      send({kVersion, 1, kNoMethod});
    } else {
      send({kVersion, 2, kNoMethod, kPasswordMethod});
    }
  }

  Status consume(Bytes& input) override {
    while (status() == Status::kMore) {
      const std::size_t taken = std::min(input.size(), wanted_ - answer_.size());
      answer_.append(reinterpret_cast<const char*>(input.data()), taken);
      input = input.subspan(taken);
      if (answer_.size() < wanted_) return Status::kMore;
      take_answer();
    }
    return status();
  }

 private:
  static constexpr std::uint8_t kVersion = 5;
  static constexpr std::uint8_t kNoMethod = 0;
  static constexpr std::uint8_t kPasswordMethod = 2;
  static constexpr std::size_t kMostBytes = 255;  // of what has its length in one byte

  enum class Step : std::uint8_t { kMethod, kPassword, kReply };

  void send(std::initializer_list<std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) output() += static_cast<char>(byte);
  }
  void send_with_length(std::string_view text) {
    send({static_cast<std::uint8_t>(text.size())});
    output().append(text);
  }
  std::string_view user() const { return std::string_view(userinfo_).substr(0, userinfo_.find(':')); }
  std::string_view password() const {
    return std::string_view(userinfo_).substr(std::min(user().size() + 1, userinfo_.size()));
  }
  unsigned byte(std::size_t at) const { return static_cast<std::uint8_t>(answer_[at]); }

  void take_answer();
  void take_method();
  void take_reply();
  void send_request();
  void expect(Step step, std::size_t bytes) {
    step_ = step;
    wanted_ = bytes;
    answer_.clear();
  }

  std::string userinfo_;
  std::string host_;
  std::uint16_t port_;
  Step step_ = Step::kMethod;
  std::string answer_;
  std::size_t wanted_ = 2;  // bytes of the answer, as far as its length is known
};

void SocksTunnel::take_answer() {
  switch (step_) {
    case Step::kMethod:
      return take_method();
    case Step::kPassword:  // RFC 1929 2
      if (byte(0) != 1 || byte(1) != 0) {
        fail("it does not take the user's name and password", Final::kYes);
        return;
      }
      return send_request();
    case Step::kReply:
      return take_reply();
  }
}

// RFC 1928 3.
void SocksTunnel::take_method() {
  const unsigned method = byte(1);
  if (byte(0) != kVersion) {
    fail("it does not speak SOCKS 5");
  } else if (method == kNoMethod) {
    send_request();
  } else if (method == kPasswordMethod && !userinfo_.empty()) {
    send({1});
    send_with_length(user());
    send_with_length(password());
    expect(Step::kPassword, 2);
  } else if (method == 0xff && userinfo_.empty()) {
    fail("it wants a user's name and password", Final::kYes);
  } else {
    fail("it takes no way to log in that this side knows", Final::kYes);
  }
}

// RFC 1928 4.
void SocksTunnel::send_request() {
  send({kVersion, 1, 0});
  if (const std::optional<PeerAddress> address = PeerAddress::parse(host_)) {
    const bool is_ipv4 = host_.find(':') == std::string::npos;
    send({static_cast<std::uint8_t>(is_ipv4 ? 1 : 4)});
    const std::size_t before = is_ipv4 ? 12 : 0;  // IPv4 is mapped into IPv6
    output().append(reinterpret_cast<const char*>(address->bytes().data()) + before, address->bytes().size() - before);
  } else {
    send({3});
    send_with_length(host_);
  }
  send({static_cast<std::uint8_t>(port_ >> 8U), static_cast<std::uint8_t>(port_ & 0xffU)});
  expect(Step::kReply, 5);
}

// RFC 1928 6. Behind the first five bytes, the last of which may be a length, is the rest of the address that the proxy
// connects from, and its port.
void SocksTunnel::take_reply() {
  if (byte(0) != kVersion) {
    fail("it does not speak SOCKS 5");
    return;
  }
  if (byte(1) != 0) {
    fail(text_of_reply(byte(1)));
    return;
  }
  const unsigned type = byte(3);
  if (type != 1 && type != 3 && type != 4) {
    fail("it gave a reply that is none of SOCKS 5");
    return;
  }
  const std::size_t address_bytes = type == 1 ? 4 : type == 4 ? 16 : 1 + byte(4);
  wanted_ = 4 + address_bytes + 2;
  if (answer_.size() == wanted_) set_status(Status::kDone);
}

}  // namespace

ProxyTunnel::ProxyTunnel(const Proxy& proxy) : proxy_name_(authority(proxy.host, proxy.port)) {}

std::unique_ptr<ProxyTunnel> ProxyTunnel::create(const Proxy& proxy, std::string_view host, std::uint16_t port) {
  if (proxy.kind == Proxy::Kind::kSocks5h) return std::make_unique<SocksTunnel>(proxy, host, port);
  return std::make_unique<ConnectTunnel>(proxy, host, port);
}

ProxyTunnel::Status ProxyTunnel::end_of_input() {
  return status_ == Status::kMore ? fail("it closed the connection") : status_;
}

ProxyTunnel::Status ProxyTunnel::fail(std::string_view why, Final final) {
  failure_.kind = FailureKind::kProxy;
  failure_.phase = FailurePhase::kProxy;
  failure_.is_final = final == Final::kYes;
  failure_.message = "proxy ";
  failure_.message.append(proxy_name_).append(": ").append(why);
  return set_status(Status::kFailed);
}

}  // namespace websockets
