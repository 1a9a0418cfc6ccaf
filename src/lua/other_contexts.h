// SPDX-License-Identifier: MIT
#pragma once

namespace websockets::lua {

class LuaContext;

// Destroys all contexts of the state but one, within an Entry of which this is called. In a process that was forked
// they are the other process's: there nobody is told.
void destroy_others(LuaContext& ours);

}  // namespace websockets::lua
