// SPDX-License-Identifier: MIT
// Preloaded into an interpreter whose module is built with sanitizers. It keeps shared objects loaded when the Lua
// state is closed, so that a leak found at the end of the process can still be told by function and line; and it keeps
// the sanitizers out of programs that the tests start.

#include <cstdlib>

extern "C" __attribute__((visibility("default"))) int dlclose(void*) noexcept { return 0; }

namespace {
__attribute__((constructor)) void do_not_preload_into_children() { unsetenv("LD_PRELOAD"); }
}  // namespace
