// SPDX-License-Identifier: MIT
#include "dial/stream_opening.h"

#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "http/websocket_url.h"
#include "loop/loop.h"

namespace websockets {
namespace {

TlsClientOptions options_for_proxy(const TlsClientOptions& options) {
  TlsClientOptions chosen;
  chosen.verify = options.verify;
  chosen.ca_path = options.ca_path;
  return chosen;
}

// An attempt that follows may fare better, although nothing was changed meanwhile.
bool is_passing(int error) {
  return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == EINTR;
}

}  // namespace

StreamOpening::TlsLayer::TlsLayer(StreamOpening& its_opening, FailurePhase its_phase, std::string its_host,
                                  std::uint16_t port, TlsClientOptions its_options)
    : opening(its_opening),
      phase(its_phase),
      host(std::move(its_host)),
      name(authority(host, port)),
      options(std::move(its_options)) {}

StreamOpening::StreamOpening(Loop& loop, TlsClientContexts& contexts, const StreamLayers& layers,
                             StreamOpeningOwner& owner)
    : Pollable(-1),
      loop_(loop),
      contexts_(contexts),
      owner_(owner),
      proxy_name_("proxy " + authority(layers.proxy.host, layers.proxy.port)) {
  if (layers.proxy.kind == Proxy::Kind::kHttps) {
    proxy_tls_.emplace(*this, FailurePhase::kProxy, layers.proxy.host, layers.proxy.port,
                       options_for_proxy(layers.tls));
  }
  if (layers.proxy) tunnel_ = ProxyTunnel::create(layers.proxy, layers.host, layers.port);
  if (layers.is_tls) host_tls_.emplace(*this, FailurePhase::kTls, layers.host, layers.port, layers.tls);
}

StreamOpening::~StreamOpening() { abort(); }

void StreamOpening::prepare() {
  for (std::optional<TlsLayer>* const layer : {&proxy_tls_, &host_tls_}) {
    if (*layer && !is_over_) prepare(**layer);
  }
}

void StreamOpening::prepare(TlsLayer& layer) {
  Result<std::shared_ptr<TlsClientContext>> made = contexts_.get(layer.options, layer);
  if (!made || *made != nullptr) on_context(layer, made);
}

void StreamOpening::start(UniqueFd fd) {
  fd_ = fd.get();
  stream_.emplace(std::move(fd));
  try {
    loop_.add(*this);
  } catch (const std::bad_alloc&) {
    failure_ = failure_without_memory(phase());
    return fail();
  }
  go_on();
}

void StreamOpening::abort() {
  if (std::exchange(is_over_, true)) return;
  for (std::optional<TlsLayer>* const layer : {&proxy_tls_, &host_tls_}) {
    if (*layer) contexts_.cancel(**layer);
  }
  if (stream_) loop_.remove(*this);
  stream_.reset();
}

FailurePhase StreamOpening::phase() const { return step_ <= Step::kTunnel ? FailurePhase::kProxy : FailurePhase::kTls; }

void StreamOpening::on_ready(unsigned) {
  if (!is_over_) go_on();
}

void StreamOpening::on_context(TlsLayer& layer, Result<std::shared_ptr<TlsClientContext>>& made) {
  if (made) {
    layer.context = *made;
    if (stream_) go_on();
    return;
  }
  try {
    failure_.kind = FailureKind::kTls;
    failure_.phase = layer.phase;
    failure_.message = layer.name + ": " + made.error().text;
    failure_.code = made.error().code;
    failure_.is_final = !is_passing(made.error().code);
  } catch (const std::bad_alloc&) {
    failure_ = failure_without_memory(layer.phase);
  }
  fail();
}

void StreamOpening::go_on() {
  Progress progress = Progress::kFailed;
  try {
    progress = run_steps();
  } catch (const std::bad_alloc&) {
    failure_ = failure_without_memory(phase());
  }
  if (progress == Progress::kWaiting) return watch();
  if (progress == Progress::kFailed) return fail();
  loop_.remove(*this);
  if (is_over_) return;  // by an observer of descriptors
  Stream stream = std::move(*stream_);
  stream_.reset();
  abort();
  owner_.on_opened(std::move(stream));
}

void StreamOpening::fail() {
  abort();
  owner_.on_opening_failed(std::move(failure_));
}

// Last: an observer may do anything, such as to abort this.
void StreamOpening::watch() {
  if (interest() == awaited_ || loop_.watch(*this, awaited_) || is_over_) return;
  try {
    failure_ = socket_failure(phase(), "the connection cannot be watched", errno);
  } catch (const std::bad_alloc&) {
    failure_ = failure_without_memory(phase());
  }
  fail();
}

StreamOpening::Progress StreamOpening::run_steps() {
  while (step_ != Step::kOpened) {
    const Progress progress = run_step();
    if (progress != Progress::kDone) return progress;
    step_ = static_cast<Step>(static_cast<int>(step_) + 1);
  }
  return Progress::kDone;
}

StreamOpening::Progress StreamOpening::run_step() {
  switch (step_) {
    case Step::kProxyTls:
      return proxy_tls_ ? shake_hands(*proxy_tls_) : Progress::kDone;
    case Step::kTunnel:
      return tunnel_ != nullptr ? go_through_proxy() : Progress::kDone;
    case Step::kHostTls:
      return host_tls_ ? shake_hands(*host_tls_) : Progress::kDone;
    case Step::kOpened:
      break;
  }
  return Progress::kDone;
}

StreamOpening::Progress StreamOpening::wait(unsigned interest) {
  awaited_ = interest;
  return Progress::kWaiting;
}

StreamOpening::Progress StreamOpening::note_failure(Failure failure) {
  failure_ = std::move(failure);
  return Progress::kFailed;
}

StreamOpening::Progress StreamOpening::shake_hands(TlsLayer& layer) {
  if (layer.context == nullptr) return wait(0);
  if (!layer.has_begun) {
    Stream::Parts parts = stream_->take_apart();
    SslSession session = layer.context->new_session(parts.fd.get(), layer.host, layer.name, std::move(parts.tls));
    stream_.emplace(std::move(parts.fd), std::move(session));
    layer.has_begun = true;
  }
  const IoResult agreed = stream_->handshake();
  switch (agreed.status) {
    case IoStatus::kDone:
      return Progress::kDone;
    case IoStatus::kWouldBlock:
      return wait(stream_->wants_write() ? kWritable : kReadable);
    default:
      break;
  }
  // The files that the context was made of may be mended until the next time. What has only been lost leaves the
  // context as it is, with its sessions.
  const bool is_unverified = stream_->tls_verification_failed();
  if (is_unverified || !layer.options.files.certificate.empty()) contexts_.forget(*layer.context);
  Failure failure;
  failure.kind = FailureKind::kTls;
  failure.phase = layer.phase;
  failure.message = stream_->tls_error();
  failure.code = agreed.error;
  failure.is_final = is_unverified;
  return note_failure(std::move(failure));
}

// --- The tunnel ---

StreamOpening::Progress StreamOpening::go_through_proxy() {
  for (;;) {
    while (!tunnel_->output().empty()) {
      const iovec part{tunnel_->output().data(), tunnel_->output().size()};
      const IoResult sent = stream_->send({&part, 1});
      if (sent.status == IoStatus::kWouldBlock) return wait(kWritable);
      if (sent.status != IoStatus::kDone)
        return fail_at_proxy(FailureKind::kLost, "the connection was lost", sent.error);
      tunnel_->output().erase(0, sent.bytes);
    }
    std::array<std::uint8_t, 1024> bytes;
    const IoResult received = stream_->receive(bytes);
    if (received.status == IoStatus::kWouldBlock) return wait(stream_->wants_write() ? kWritable : kReadable);
    if (received.status == IoStatus::kFailed) {
      return fail_at_proxy(FailureKind::kLost, "the connection was lost", received.error);
    }
    std::span<const std::uint8_t> input = std::span(bytes).first(received.bytes);
    const ProxyTunnel::Status status =
        received.status == IoStatus::kEnd ? tunnel_->end_of_input() : tunnel_->consume(input);
    if (status == ProxyTunnel::Status::kFailed) return note_failure(tunnel_->failure());
    if (status == ProxyTunnel::Status::kMore) continue;
    if (input.empty()) return Progress::kDone;
    // Nobody has spoken to the host yet.
    return fail_at_proxy(FailureKind::kProxy, "it sent more than its answer");
  }
}

StreamOpening::Progress StreamOpening::fail_at_proxy(FailureKind kind, std::string_view why, int error) {
  Failure failure;
  failure.kind = kind;
  failure.phase = FailurePhase::kProxy;
  failure.code = error;
  failure.message = proxy_name_ + ": ";
  failure.message.append(why);
  return note_failure(std::move(failure));
}

}  // namespace websockets
