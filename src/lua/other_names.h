// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace websockets::lua {

// What other libraries and servers call something, and what it is here: a text for errors. Case and underscores count
// for nothing. Null: it is not known.

// An event of a websocket, also one of ours.
const char* find_event(std::string_view name);
// The same, of a client.
const char* find_client_event(std::string_view name);
// An option of a context. Of an event: how to be told of it.
const char* find_option(std::string_view name);
// An option of connect(). Of an event: the same.
const char* find_connect_option(std::string_view name);

}  // namespace websockets::lua
