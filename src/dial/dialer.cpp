// SPDX-License-Identifier: MIT
#include "dial/dialer.h"

#include <netdb.h>

#include <new>
#include <utility>
#include <vector>

#include "dial/address_order.h"
#include "dial/connect_attempts.h"
#include "dial/stream_opening.h"
#include "dial/tls_client_contexts.h"
#include "http/websocket_url.h"
#include "loop/disposable.h"
#include "loop/loop.h"

namespace websockets {

// What lives until the end of the round in which its dialer is destroyed.
class Dialer::Dialing final : public Disposable,
                              private NameLookupOwner,
                              private ConnectAttemptsOwner,
                              private StreamOpeningOwner {
 public:
  Dialing(const DialServices& services, DialTarget target, DialerOwner& owner);
  ~Dialing() override { abort(); }

  void start();
  void abort();
  FailurePhase phase() const { return phase_ == FailurePhase::kTls ? opening_.phase() : phase_; }
  std::string address() const { return attempts_.address(); }

 private:
  bool is_proxied() const { return static_cast<bool>(proxy_); }
  void look_up(const std::string& host, std::uint16_t port);
  void connect(std::vector<SocketAddress> addresses);
  void on_addresses(Result<std::vector<SocketAddress>> found) override;
  void on_connected(UniqueFd fd) override;
  void on_connect_failed(Failure failure) override { fail(std::move(failure)); }
  void on_opened(Stream stream) override;
  void on_opening_failed(Failure failure) override;
  void fail(FailureKind kind, const Error& error);
  void fail(Failure failure);
  template <typename Function>
  void or_fail(Function function);

  const DialServices services_;
  const DialTarget target_;
  DialerOwner& owner_;
  const Proxy proxy_;
  std::shared_ptr<NameLookup> lookup_;
  ConnectAttempts attempts_;
  StreamOpening opening_;
  FailurePhase phase_ = FailurePhase::kNone;
  bool is_over_ = false;
};

namespace {

Proxy proxy_for(const DialTarget& target) {
  return target.unix_path.empty() && !target.address ? target.proxy : Proxy();
}

}  // namespace

Dialer::Dialing::Dialing(const DialServices& services, DialTarget target, DialerOwner& owner)
    : services_(services),
      target_(std::move(target)),
      owner_(owner),
      proxy_(proxy_for(target_)),
      attempts_(services.loop, *this),
      opening_(services.loop, services.tls, {proxy_, target_.host, target_.port, target_.is_tls, target_.tls}, *this) {}

// Short memory ends it.
template <typename Function>
void Dialer::Dialing::or_fail(Function function) {
  try {
    function();
  } catch (const std::bad_alloc&) {
    if (!is_over_) fail(failure_without_memory(phase()));
  }
}

void Dialer::Dialing::start() {
  phase_ = FailurePhase::kName;
  or_fail([&] {
    opening_.prepare();
    if (is_over_) return;
    if (!target_.unix_path.empty()) {
      Result<SocketAddress> address = unix_address(target_.unix_path);
      if (!address) return fail(FailureKind::kUnreachable, address.error());
      return connect({*address});
    }
    if (target_.address) return connect({*target_.address});
    look_up(is_proxied() ? proxy_.host : target_.host, is_proxied() ? proxy_.port : target_.port);
  });
}

void Dialer::Dialing::abort() {
  if (std::exchange(is_over_, true)) return;
  if (lookup_ != nullptr) services_.tasks.cancel(*lookup_);
  attempts_.abort();
  opening_.abort();
}

void Dialer::Dialing::look_up(const std::string& host, std::uint16_t port) {
  if (auto known = addresses_without_lookup(host, port)) return connect(std::move(*known));
  lookup_ = std::make_shared<NameLookup>(host, port, static_cast<NameLookupOwner&>(*this), services_.resolve);
  if (Error error = services_.tasks.start(lookup_)) {
    lookup_ = nullptr;
    error.text.insert(0, "'" + host + "': ");
    fail(FailureKind::kDns, error);
  }
}

void Dialer::Dialing::on_addresses(Result<std::vector<SocketAddress>> found) {
  lookup_ = nullptr;
  or_fail([&] {
    if (found) return connect(interleave_families(*found));
    fail(FailureKind::kDns, Error{found.error().text, 0});  // an EAI_* is no errno
  });
}

void Dialer::Dialing::connect(std::vector<SocketAddress> addresses) {
  phase_ = FailurePhase::kTcp;
  std::string name = is_proxied()                ? "proxy " + authority(proxy_.host, proxy_.port)
                     : target_.unix_path.empty() ? authority(target_.host, target_.port)
                                                 : addresses[0].text();
  attempts_.start(std::move(name), std::move(addresses), target_.interface);
}

void Dialer::Dialing::on_connected(UniqueFd fd) {
  phase_ = FailurePhase::kTls;  // or what is before it: see phase()
  opening_.start(std::move(fd));
}

void Dialer::Dialing::on_opened(Stream stream) {
  or_fail([&] {
    std::string address = attempts_.address();
    abort();
    owner_.on_dialed(std::move(stream), std::move(address));
  });
}

void Dialer::Dialing::on_opening_failed(Failure failure) {
  or_fail([&] {
    failure.address = attempts_.address();
    fail(std::move(failure));
  });
}

void Dialer::Dialing::fail(FailureKind kind, const Error& error) {
  Failure failure;
  failure.kind = kind;
  failure.phase = phase();
  failure.message = (is_proxied() ? "proxy " : "") + error.text;
  failure.code = error.code;
  fail(std::move(failure));
}

void Dialer::Dialing::fail(Failure failure) {
  abort();
  owner_.on_dial_failed(std::move(failure));
}

Dialer::Dialer(const DialServices& services, DialTarget target, DialerOwner& owner)
    : loop_(services.loop), dialing_(std::make_unique<Dialing>(services, std::move(target), owner)) {}

Dialer::~Dialer() {
  dialing_->abort();
  loop_.dispose(std::move(dialing_));
}

void Dialer::start() {
  const Loop::Round round(loop_);
  dialing_->start();
}

FailurePhase Dialer::phase() const { return dialing_->phase(); }

std::string Dialer::address() const { return dialing_->address(); }

}  // namespace websockets
