// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "dial/failure.h"
#include "dial/proxy_choice.h"
#include "dial/proxy_tunnel.h"
#include "dial/tls_client_contexts.h"
#include "net/driver.h"
#include "net/stream.h"
#include "net/tls_client_context.h"

namespace websockets {

class Loop;

// What is between a connected socket and the host's stream.
struct StreamLayers {
  Proxy proxy;       // none: the socket is connected to the host
  std::string host;  // as in WebsocketUrl
  std::uint16_t port = 0;
  bool is_tls = false;  // with the host
  TlsClientOptions tls;
};

// The owner of a stream opening, of which one call comes. The calls throw nothing.
class StreamOpeningOwner {
 public:
  virtual void on_opened(Stream stream) = 0;
  // Without an address. Perhaps before start().
  virtual void on_opening_failed(Failure failure) = 0;

 protected:
  ~StreamOpeningOwner() = default;
};

// Makes the stream of a host out of a connected socket: TLS with the proxy, the tunnel through it, TLS with the host,
// as far as there are any. A proxy is verified as the host is, by its own name; pins, a server's name and the client's
// certificate are for the host alone. It has no deadline. To be disposed of by Loop::dispose(), once it was aborted or
// has told its owner.
class StreamOpening final : public Pollable {
 public:
  // Throws std::bad_alloc.
  StreamOpening(Loop& loop, TlsClientContexts& contexts, const StreamLayers& layers, StreamOpeningOwner& owner);
  ~StreamOpening();
  StreamOpening(const StreamOpening&) = delete;
  StreamOpening& operator=(const StreamOpening&) = delete;

  // Begins with what takes its time and needs no connection. May call the owner. Throws std::bad_alloc.
  void prepare();
  // In a round, if the owner was not told before. May call the owner.
  void start(UniqueFd fd);
  // Closes everything. Calls nobody but an observer of descriptors.
  void abort();
  // kProxy or kTls.
  FailurePhase phase() const;

  void on_ready(unsigned events) override;

 private:
  enum class Step : std::uint8_t { kProxyTls, kTunnel, kHostTls, kOpened };
  enum class Progress : std::uint8_t { kDone, kWaiting, kFailed };

  // One TLS.
  struct TlsLayer final : public TlsContextWaiter {
    TlsLayer(StreamOpening& its_opening, FailurePhase its_phase, std::string its_host, std::uint16_t port,
             TlsClientOptions its_options);
    void on_tls_context(Result<std::shared_ptr<TlsClientContext>> made) override { opening.on_context(*this, made); }

    StreamOpening& opening;
    const FailurePhase phase;
    const std::string host;
    const std::string name;  // with the port
    const TlsClientOptions options;
    std::shared_ptr<TlsClientContext> context;
    bool has_begun = false;
  };

  void prepare(TlsLayer& layer);
  void on_context(TlsLayer& layer, Result<std::shared_ptr<TlsClientContext>>& made);
  void go_on();
  Progress run_steps();
  Progress run_step();
  Progress shake_hands(TlsLayer& layer);
  Progress go_through_proxy();
  Progress fail_at_proxy(FailureKind kind, std::string_view why, int error = 0);
  Progress wait(unsigned interest);
  void watch();
  Progress note_failure(Failure failure);
  void fail();

  Loop& loop_;
  TlsClientContexts& contexts_;
  StreamOpeningOwner& owner_;
  std::optional<TlsLayer> proxy_tls_;
  std::unique_ptr<ProxyTunnel> tunnel_;
  std::optional<TlsLayer> host_tls_;
  const std::string proxy_name_;  // "proxy example.org:3128"
  std::optional<Stream> stream_;
  Failure failure_;
  Step step_ = Step::kProxyTls;
  unsigned awaited_ = 0;
  bool is_over_ = false;
};

}  // namespace websockets
