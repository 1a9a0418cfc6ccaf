// SPDX-License-Identifier: MIT
#include "play.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "certificate_file.h"

extern "C" int luaopen_websockets(lua_State* L);

namespace websockets::faults {
namespace {

// How long a client that is connected may be kept waiting: 20 s at least.
constexpr int kMostRounds = 4000;
constexpr int kRoundMs = 5;

std::string socket_path() { return "/tmp/websockets-faults-" + std::to_string(::getpid()); }

// Of the server.
const std::string& certificate_file() {
  static const CertificateFile file;
  return file.path();
}

bool are_signals_blocked() {
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return sigismember(&blocked, SIGTERM) == 1 || sigismember(&blocked, SIGPIPE) == 1;
}

int count_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  int count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

}  // namespace

Result Play::run(const Scenario& scenario) {
  const Pause pause;
  return Play(scenario).run();
}

Result Play::run() {
  ::setenv("WEBSOCKETS_DRIVER", scenario_.driver, 1);
  const int descriptors = count_descriptors();
  open_state();
  if (call("start")) {
    scenario_.act(*this);
    wait_for_answers();
    call("stop");
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      clients_[i].read();
      result_.clients.push_back(clients_[i].outcome());
      if (clients_[i].lacks() > 0) result_.lacking.push_back(static_cast<int>(i));
    }
    clients_.clear();
  }
  {
    const Unpause unpause;
    lua_close(L_);
  }
  if (count_descriptors() > descriptors) result_.left += "a descriptor ";
  if (::unlink(socket_path().c_str()) == 0) result_.left += "the socket's file ";
  if (are_signals_blocked()) result_.left += "signals that are blocked";
  return std::move(result_);
}

Client& Play::connect() { return clients_.emplace_back(socket_path()); }

Client& Play::connect_by_tcp() { return clients_.emplace_back(port_); }

Client& Play::connect_by_tls(int version) { return clients_.emplace_back(port_, version); }

void Play::close_all_but(std::size_t count) {
  for (std::size_t i = count; i < clients_.size(); ++i) clients_[i].close();
}

void Play::open_state() {
  L_ = lua_newstate(allocate_for_lua, nullptr);
  luaL_openlibs(L_);
  lua_getglobal(L_, "package");
  lua_getfield(L_, -1, "loaded");
  lua_pushcfunction(L_, luaopen_websockets);
  lua_call(L_, 0, 1);
  lua_setfield(L_, -2, "websockets");
  lua_settop(L_, 0);
  lua_pushlightuserdata(L_, this);
  lua_pushcclosure(L_, note, 1);
  lua_setglobal(L_, "note");
  lua_pushlightuserdata(L_, this);
  lua_pushcclosure(L_, serve_clients, 1);
  lua_setglobal(L_, "serve_clients");
  lua_pushcfunction(L_, [](lua_State*) { return ::raise(SIGTERM); });
  lua_setglobal(L_, "terminate");
  lua_pushstring(L_, socket_path().c_str());
  lua_setglobal(L_, "path");
  lua_pushstring(L_, certificate_file().c_str());
  lua_setglobal(L_, "certificate");
  lua_pushstring(L_, SERVERS);
  lua_setglobal(L_, "folder");
  const std::string file = std::string(SERVERS "/") + scenario_.server + ".lua";
  ASSERT_EQ(luaL_dofile(L_, file.c_str()), 0) << lua_tostring(L_, -1);
}

int Play::note(lua_State* L) {
  const Pause pause;
  auto* const self = static_cast<Play*>(lua_touserdata(L, lua_upvalueindex(1)));
  const std::string event = lua_tostring(L, 1);
  if (event == "port") {
    self->port_ = static_cast<std::uint16_t>(lua_tointeger(L, 2));
  } else {
    ++self->result_.notes[event];
  }
  return 0;
}

// For a server that does not come back from serving. True: they answer Close frames.
int Play::serve_clients(lua_State* L) {
  const Pause pause;
  for (Client& client : static_cast<Play*>(lua_touserdata(L, lua_upvalueindex(1)))->clients_) {
    client.read();
    if (lua_toboolean(L, 1) != 0) client.answer_close();
  }
  return 0;
}

bool Play::call(const char* function) {
  lua_settop(L_, 1);
  lua_getfield(L_, 1, function);
  int status = 0;
  if (scenario_.only.empty() || scenario_.only == function) {
    const Unpause unpause;
    status = lua_pcall(L_, 0, 0, 0);
  } else {
    status = lua_pcall(L_, 0, 0, 0);
  }
  if (status != 0) result_.errors.emplace_back(lua_tostring(L_, -1));
  return status == 0;
}

void Play::serve(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    call("step");
    for (Client& client : clients_) client.read();
  }
}

void Play::wait_for_answers() {
  const auto list_waiting = [&] {
    result_.waiting.clear();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].waits()) result_.waiting.push_back(static_cast<int>(i));
    }
    return !result_.waiting.empty();
  };
  for (int i = 0; i < kMostRounds && list_waiting() && !injector.refuses(); ++i) {
    serve(1);
    ::usleep(kRoundMs * 1000);
  }
}

}  // namespace websockets::faults
