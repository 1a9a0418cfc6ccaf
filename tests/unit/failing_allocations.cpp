// SPDX-License-Identifier: MIT
#include "failing_allocations.h"

#include "wrapped_allocations.h"

namespace websockets {

bool allocation_fails() { return FailingAllocation::fails(); }
bool zlib_allocation_fails() { return FailingAllocation::fails(); }

}  // namespace websockets
