// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "client/client_options.h"
#include "lua/compat.h"

namespace websockets::lua {

// What on_retry may ask for at most.
constexpr double kMaxRetrySeconds = 1e6;

// "websocket could not connect: ", and why, at the line of the caller.
[[noreturn]] void raise_connect_error(lua_State* L, const char* why);

struct ConnectOptions final : ClientOptions {
  std::uint32_t receive_buffer_bytes = 64U << 10U;
};

// Reads the URL and the table of options of connect(), at these indices; there may be no options. Where the URL, or the
// option 'headers', is a function, it is pushed, else nil, in this order; then likewise that of the option 'resume'.
void read_connect_options(lua_State* L, int url, int table, ConnectOptions& options);

// Take what such a function has returned off the top of the stack.
void take_url(lua_State* L, std::string& url);
void take_headers(lua_State* L, OpeningOptions::Pairs& headers);

}  // namespace websockets::lua
