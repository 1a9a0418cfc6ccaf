// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "dial/dialer.h"

namespace websockets {

// One connection that is being made, as by a Dialer.
class ClientDial {
 public:
  // Also within a call of the owner.
  virtual ~ClientDial() = default;
  // Once. May call the owner.
  virtual void start() = 0;
  virtual FailurePhase phase() const = 0;
  virtual std::string address() const = 0;
};

// Makes the connections of clients.
class ClientDials {
 public:
  // Throws std::bad_alloc.
  virtual std::unique_ptr<ClientDial> dial(DialTarget target, DialerOwner& owner) = 0;

 protected:
  ~ClientDials() = default;
};

// In earnest.
class NetworkDials final : public ClientDials {
 public:
  // What is shared outlives it.
  explicit NetworkDials(const DialServices& services) : services_(services) {}
  std::unique_ptr<ClientDial> dial(DialTarget target, DialerOwner& owner) override;

 private:
  DialServices services_;
};

}  // namespace websockets
