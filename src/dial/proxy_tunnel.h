// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "dial/failure.h"
#include "dial/proxy_choice.h"

namespace websockets {

// What is said to a proxy so that it connects to a host: HTTP CONNECT (RFC 9110 9.3.6), or SOCKS 5 (RFC 1928, RFC
// 1929). Bytes in, bytes out: knows no socket. Any call may throw std::bad_alloc, after which it is unusable.
class ProxyTunnel {
 public:
  enum class Status : std::uint8_t {
    kMore,    // all input was taken; output() may have more to send
    kDone,    // whatever follows, in both directions, is the host's
    kFailed,  // failure() says why
  };

  // `proxy` is one. A host and a port as in WebsocketUrl: the proxy looks up a name, an address goes to it as one.
  static std::unique_ptr<ProxyTunnel> create(const Proxy& proxy, std::string_view host, std::uint16_t port);
  virtual ~ProxyTunnel() = default;
  ProxyTunnel(const ProxyTunnel&) = delete;
  ProxyTunnel& operator=(const ProxyTunnel&) = delete;

  // What has to be sent now; the owner takes off its front what has been.
  std::string& output() { return output_; }
  // Takes bytes from the front of `input` and advances it: none behind the proxy's last answer.
  virtual Status consume(std::span<const std::uint8_t>& input) = 0;
  // The proxy sends no more.
  Status end_of_input();
  // kProxy; its message names the proxy and never its userinfo.
  const Failure& failure() const { return failure_; }

 protected:
  explicit ProxyTunnel(const Proxy& proxy);
  enum class Final : bool { kNo, kYes };  // whether another attempt would fail in the same way
  Status fail(std::string_view why, Final final = Final::kNo);
  Status status() const { return status_; }
  Status set_status(Status status) { return status_ = status; }

 private:
  std::string proxy_name_;
  std::string output_;
  Failure failure_;
  Status status_ = Status::kMore;
};

}  // namespace websockets
