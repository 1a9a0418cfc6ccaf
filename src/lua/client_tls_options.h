// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "net/tls_client_context.h"

namespace websockets::lua {

class OptionReader;

// The options ssl_* of who connects.
void read_client_tls(OptionReader& reader, TlsClientOptions& tls);
// After all options were read: one that is missing may have been misspelt. Raises what does not go together.
void check_client_tls(OptionReader& reader, const TlsClientOptions& tls);

}  // namespace websockets::lua
