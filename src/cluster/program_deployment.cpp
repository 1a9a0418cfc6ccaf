// SPDX-License-Identifier: MIT
#include "cluster/program_deployment.h"

#include "cluster/listener_handover.h"
#include "cluster/service_notify.h"

namespace websockets {

void announce_ready() {
  notify_service(kServiceReady);
  if (ListenerHandover* const previous = ListenerHandover::of_process()) previous->ready();
}

void ProgramDeployment::fail(std::string_view why) {
  if (ListenerHandover* const previous = ListenerHandover::of_process()) previous->fail(why);
}

void ProgramDeployment::on_ready() { announce_ready(); }

void ProgramDeployment::on_reloading() { notify_service(service_reloading()); }

void ProgramDeployment::on_stopping() {
  notify_service(kServiceStopping);
  new_version_.cancel();
  fail("it was told to end");
}

Error ProgramDeployment::start(Listeners& listeners, Loop& loop, DeploymentOwner& owner) {
  owner_ = &owner;
  return new_version_.start(program_, listeners, loop);
}

void ProgramDeployment::leave() {
  new_version_.leave();
  if (ListenerHandover* const previous = ListenerHandover::of_process()) previous->leave();
}

// The service manager believes this only of the process that it takes for the main one: the old one.
void ProgramDeployment::on_new_version_ready(pid_t pid) {
  notify_service(service_main_process(pid));
  owner_->on_new_version_ready();
}

void ProgramDeployment::on_new_version_failed(const std::string& why) {
  owner_->on_new_version_failed("the new version has failed, and this one goes on: " + why);
}

}  // namespace websockets
