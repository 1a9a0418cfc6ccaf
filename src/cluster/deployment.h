// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace websockets {

class Listeners;
class Loop;

// What a pool is told of the next version of its program.
class DeploymentOwner {
 public:
  // The new version accepts: this one is to go.
  virtual void on_new_version_ready() = 0;
  // It ended before that: this one stays as it is.
  virtual void on_new_version_failed(const std::string& why) = 0;

 protected:
  ~DeploymentOwner() = default;
};

// What is around a pool: who has started it, as a service manager or the previous version of the program, and the next
// version. All calls but leave() are made in the supervisor.
class Deployment {
 public:
  // All first workers accept.
  virtual void on_ready() = 0;
  // The certificates are read again, and on_ready() comes after that.
  virtual void on_reloading() = 0;
  // All are to end, and no new version has taken their place.
  virtual void on_stopping() = 0;
  // SIGUSR2: starts the next version, which gets the listeners; the owner is told what comes of it, in a round of the
  // loop, which is the supervisor's. Error: it cannot be started. While one is under way it does nothing.
  virtual Error start(Listeners& listeners, Loop& loop, DeploymentOwner& owner) = 0;
  // In a new worker: closes what is the supervisor's. Throws nothing.
  virtual void leave() = 0;

 protected:
  ~Deployment() = default;
};

}  // namespace websockets
