// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "lua/compat.h"
#include "net/certificate.h"

// What both sides of a handshake tell a script of the other one.

namespace websockets::lua {

constexpr const char* kHeadersType = "websockets.headers";

// Pushes an empty table of headers, in which names are found in any case.
void push_empty_headers(lua_State* L);
// Adds one to that table, on top of the stack. One that is there already gets another value (RFC 9110 5.3).
void add_header(lua_State* L, std::string_view name, std::string_view value);
// Makes their metatable.
void register_headers(lua_State* L);

void push_certificate(lua_State* L, const Certificate::Description& description);

}  // namespace websockets::lua
