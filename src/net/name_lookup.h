// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/background_task.h"
#include "net/socket_address.h"

namespace websockets {

// Gets what a name look-up has found.
class NameLookupOwner {
 public:
  // Not empty; Error: its text names the host.
  virtual void on_addresses(Result<std::vector<SocketAddress>> found) = 0;

 protected:
  ~NameLookupOwner() = default;
};

// Asks the system's resolver for the addresses of a host, to connect to: see BackgroundTasks. Its owner cancels it
// before it goes away.
class NameLookup final : public BackgroundTask {
 public:
  // In a thread. May block.
  using Resolve = std::function<Result<std::vector<SocketAddress>>(const std::string& host, std::uint16_t port)>;

  // `resolve` null: the system's.
  NameLookup(std::string host, std::uint16_t port, NameLookupOwner& owner, Resolve resolve = nullptr);
  void run() noexcept override;
  void on_done(bool has_run) override;

 private:
  const std::string host_;
  const std::uint16_t port_;
  NameLookupOwner& owner_;
  const Resolve resolve_;
  Result<std::vector<SocketAddress>> found_;
};

// The addresses that are known without a look-up: those of literals, and of "localhost" and "*.localhost" (RFC 6761
// 6.3). nullopt: it has to be looked up.
std::optional<std::vector<SocketAddress>> addresses_without_lookup(const std::string& host, std::uint16_t port);

}  // namespace websockets
