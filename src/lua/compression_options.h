// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include "lua/option_reader.h"
#include "websocket/message_compression.h"
#include "websocket/session_rules.h"

namespace websockets::lua {

// Reads the option 'compression' of a server or a client.
void read_compression(OptionReader& config, Role role, std::optional<CompressionOptions>& options);

}  // namespace websockets::lua
