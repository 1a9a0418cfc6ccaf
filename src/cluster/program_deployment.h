// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include "cluster/deployment.h"
#include "cluster/new_version.h"
#include "cluster/program_start.h"

namespace websockets {

// The deployment of a pool of a whole program: the service manager, if there is one, is told what it does (sd_notify);
// the previous version, if it has handed over its listeners, that it may go; the next one is started from `program`.
class ProgramDeployment final : public Deployment, private NewVersionOwner {
 public:
  explicit ProgramDeployment(ProgramStart program) : program_(std::move(program)), new_version_(*this) {}

  // The workers could not be had: the previous version goes on, and tells why this one does not.
  void fail(std::string_view why);

  void on_ready() override;
  void on_reloading() override;
  void on_stopping() override;
  Error start(Listeners& listeners, Loop& loop, DeploymentOwner& owner) override;
  void leave() override;

 private:
  void on_new_version_ready(pid_t pid) override;
  void on_new_version_failed(const std::string& why) override;

  ProgramStart program_;
  NewVersion new_version_;
  DeploymentOwner* owner_ = nullptr;  // of the version that is starting
};

// A program without a pool serves now: the same is told.
void announce_ready();

}  // namespace websockets
