// SPDX-License-Identifier: MIT
// What a program that has wrapped_allocations.cpp in it says about its allocations.
#pragma once

namespace websockets {

// Whether the next one fails: by new or realloc(); by zlib. Called by each allocation.
bool allocation_fails();
bool zlib_allocation_fails();

}  // namespace websockets
