// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include "lua/callback_table.h"
#include "lua/compat.h"
#include "websocket/carrier.h"

namespace websockets::lua {

// Calls Lua functions from the engine's events, in protected mode: their errors go to on_error. No lua_State is kept:
// whoever calls the engine from Lua opens an Entry, which says by which state.
class LuaCalls {
 public:
  // Within a protected function: the callbacks table is its second argument.
  static constexpr int kCallbacks = 2;

  struct Place {
    lua_State* L = nullptr;
    int callbacks = 0;        // stack index of the callbacks table
    int message_handler = 0;  // stack index
  };
  // For an Entry. Pushes two values; returns the place before.
  Place enter(lua_State* L, int callbacks);
  void leave(const Place& before);

  // Within an Entry.
  lua_State* state() const { return place_.L; }
  int callbacks() const { return place_.callbacks; }

  // Runs `body(L)`. `websocket`: where the LuaWebsocket is found, at any time, whose callback it is; null: it is no
  // websocket's. False: it has failed, which was reported.
  template <typename Body>
  bool run(void* const* websocket, Body body) {
    return call_protected(
        websocket, [](lua_State* L, void* argument) { (*static_cast<Body*>(argument))(L); }, &body);
  }
  template <typename Body>
  bool run(const Carrier* carrier, Body body) {
    return run(carrier == nullptr ? nullptr : &carrier->user, body);
  }
  template <typename Body>
  bool run(std::nullptr_t, Body body) {
    return run(static_cast<void* const*>(nullptr), body);
  }
  // Calls the function at an index.
  void call(int function);
  // Takes the text to on_error, or to stderr.
  void warn(std::string_view text);
  // The same with the string at an index.
  void report_warning(int text);
  // The same of the message of an error, and the websocket in a slot, or none. `what`: where it was raised.
  void report_failure(int text, int self, const char* what);

  // Of the process, which on_error is told; 0: it is none.
  void set_worker(int id) { worker_ = id; }
  int worker() const { return worker_; }

  // A callback was interrupted by lua.c's handler of SIGINT, which is not the callback's fault: its error goes on,
  // through the function that has led to the callback, once everybody was served.
  bool is_interrupted() const { return is_interrupted_; }
  // Raises that error, if there is one. Not within an Entry of the same call.
  void raise_interruption(lua_State* L, int callbacks) {
    if (is_interrupted_) raise_now(L, callbacks);
  }

 private:
  bool call_protected(void* const* websocket, void (*function)(lua_State*, void*), void* argument);
  bool take_interruption();
  [[noreturn]] void raise_now(lua_State* L, int callbacks);
  void report_error(void* const* websocket);
  void report(int self, const char* what);

  Place place_;
  bool is_interrupted_ = false;
  int worker_ = 0;
};

// The functions that a callbacks table has in kTrampoline and kMessageHandler.
void push_trampoline(lua_State* L);
void push_message_handler(lua_State* L);

}  // namespace websockets::lua
