// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace websockets {

// To be called before blocks of up to `bytes` are needed again and again. By default glibc gives the end of the heap
// back to the system when 128 KiB of it are free, and then pays for every page of the next large message anew: about as
// much as for receiving and sending it. A large block that was freed once makes it keep twice as much; so does this,
// the first time, unless the user has set a threshold (mallopt(3)). Elsewhere it changes nothing.
void raise_trim_threshold(std::size_t bytes);

}  // namespace websockets
