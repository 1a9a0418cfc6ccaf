// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace websockets {

// What a service manager wants to know of a service, in the words of sd_notify(3). Each is one line of a state.
constexpr const char* kServiceReady = "READY=1\n";
constexpr const char* kServiceStopping = "STOPPING=1\n";
std::string service_reloading();  // since now; kServiceReady ends it
std::string service_main_process(pid_t pid);
std::string service_status(std::string_view text);  // for a person; up to the end of its first line

// Sends a state to the service manager that has started this process: to the datagram socket that the environment
// variable NOTIFY_SOCKET names, a path, or "@" and a name that is in no file system (unix(7): abstract). False: there
// is none, as for most processes, or it takes nothing.
bool notify_service(std::string_view state);

}  // namespace websockets
