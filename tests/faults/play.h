// SPDX-License-Identifier: MIT
// A server in Lua and some clients.
#pragma once

#include <deque>
#include <lua.hpp>
#include <map>
#include <string>
#include <vector>

#include "client.h"
#include "faults.h"

namespace websockets::faults {

class Play;

// A server (servers/NAME.lua) and what its clients do. When nothing fails, they get all that they expect, and the
// server notes so many of these events.
struct Scenario {
  const char* name;
  const char* server;
  void (*act)(Play& play);
  std::map<std::string, int> notes;
  const char* driver = "epoll";
  std::string_view only = {};  // of the server's functions: what may fail; "": all of them
  bool is_long = false;        // it makes thousands of allocations: of those made by the same way the first one fails
};

struct Result {
  std::map<std::string, int> notes;
  std::vector<std::string> errors;  // raised by calls of the context
  std::vector<Outcome> clients;     // none: the server could not be made
  std::vector<int> waiting;         // those who have not got what they expect, and are connected still
  std::vector<int> lacking;         // who have not got what they expect, whether or not they are connected
  std::string left;                 // what the server has not cleaned up; "": nothing
};

// Runs a scenario once. Only what the server does may fail.
class Play {
 public:
  static Result run(const Scenario& scenario);

  Client& connect();
  Client& connect_by_tcp();
  Client& connect_by_tls(int version = TLS1_3_VERSION);
  // Without a word.
  void close_all_but(std::size_t count);
  // Some rounds of the server, and what comes to the clients meanwhile.
  void serve(int rounds = 6);
  // One of the server's functions; what it raises is one of the errors.
  bool call(const char* function);

 private:
  explicit Play(const Scenario& scenario) : scenario_(scenario) {}
  Result run();
  void open_state();
  static int note(lua_State* L);
  static int serve_clients(lua_State* L);
  void wait_for_answers();

  const Scenario& scenario_;
  lua_State* L_ = nullptr;
  std::deque<Client> clients_;
  std::uint16_t port_ = 0;
  Result result_;
};

}  // namespace websockets::faults
