// SPDX-License-Identifier: MIT
#include "client/client_dials.h"

#include <utility>

namespace websockets {
namespace {

class NetworkDial final : public ClientDial {
 public:
  NetworkDial(const DialServices& services, DialTarget target, DialerOwner& owner)
      : dialer_(services, std::move(target), owner) {}

  void start() override { dialer_.start(); }
  FailurePhase phase() const override { return dialer_.phase(); }
  std::string address() const override { return dialer_.address(); }

 private:
  Dialer dialer_;
};

}  // namespace

std::unique_ptr<ClientDial> NetworkDials::dial(DialTarget target, DialerOwner& owner) {
  return std::make_unique<NetworkDial>(services_, std::move(target), owner);
}

}  // namespace websockets
