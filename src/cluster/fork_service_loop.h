// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

#include "base/result.h"

namespace websockets {

class Context;

// Forks a process that serves this context from now on: until the context is destroyed there, or here, or this process
// ends. Here all connections and listeners are given up, and the hub sends by a ForkBackplane. Called outside of rounds
// of the context's own. There `on_forked` is called first: what the owner has beside this context is the other
// process's, and to be given up. Error: there is no new process.
Error fork_service_loop(Context& context, const std::function<void()>& on_forked);

}  // namespace websockets
