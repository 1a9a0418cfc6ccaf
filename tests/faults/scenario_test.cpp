// SPDX-License-Identifier: MIT
// A server in Lua and some clients, over and over again: each time another call fails, until none is left to fail.
// Nothing crashes or leaks; no callback is called twice; a client gets whole messages, in order, or the connection
// ends; and what may happen at any time, like a signal or a full kernel, changes nothing at all.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "faults.h"
#include "protocol_reference.h"

extern "C" int luaopen_websockets(lua_State* L);

namespace websockets::faults {
namespace {

using namespace protocol_support;

std::string handshake(std::string_view target) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
}
constexpr std::string_view kRequest = "GET /file HTTP/1.1\r\nHost: x\r\n\r\n";

// By a path in the abstract namespace there would be no file, but nothing to unlink either.
std::string socket_path() { return "/tmp/websockets-faults-" + std::to_string(::getpid()); }

class Client {
 public:
  Client() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_path().c_str(), sizeof address.sun_path - 1);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes) const {
    if (fd_ >= 0) ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void send(const Bytes& frame) const { send(to_text(frame)); }
  void read() {
    std::array<char, 65536> buffer;
    ssize_t count = 1;
    while (fd_ >= 0 && count > 0) {
      count = ::read(fd_, buffer.data(), buffer.size());
      if (count > 0) received_.append(buffer.data(), static_cast<std::size_t>(count));
      if (count == 0 || (count < 0 && errno != EAGAIN)) has_ended_ = true;
    }
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  bool has_ended() const { return has_ended_ || fd_ < 0; }
  const std::string& received() const { return received_; }
  // What came behind the answer to the handshake.
  Outcome messages() const {
    const std::size_t end = received_.find("\r\n\r\n");
    if (end == std::string::npos || !received_.starts_with("HTTP/1.1 101 ")) return {};
    AssemblerRules rules;
    rules.expect_masked = false;
    return Reference(to_bytes(std::string_view(received_).substr(end + 4)), rules).outcome();
  }

 private:
  int fd_;
  bool has_ended_ = false;
  std::string received_;
};

struct Result {
  std::map<std::string, int> notes;
  std::vector<std::string> errors;  // raised by calls of the context
  Outcome first;
  Outcome second;
  std::string http;
  bool first_ended = false;
  bool second_ended = false;
};

class Scenario {
 public:
  Result run() {
    open_state();
    if (call("start")) {
      play();
      call("stop");
    }
    lua_close(L_);
    return std::move(result_);
  }

 private:
  void open_state() {
    const Pause pause;
    L_ = lua_newstate(allocate_for_lua, nullptr);
    luaL_openlibs(L_);
    luaL_requiref(L_, "websockets", luaopen_websockets, 0);
    lua_pop(L_, 1);
    lua_pushlightuserdata(L_, this);
    lua_pushcclosure(L_, note, 1);
    lua_setglobal(L_, "note");
    lua_pushstring(L_, socket_path().c_str());
    lua_setglobal(L_, "path");
    ASSERT_EQ(luaL_dofile(L_, SCENARIO), 0) << lua_tostring(L_, -1);
  }

  static int note(lua_State* L) {
    const Pause pause;
    auto* const self = static_cast<Scenario*>(lua_touserdata(L, lua_upvalueindex(1)));
    ++self->result_.notes[lua_tostring(L, 1)];
    return 0;
  }

  // One of the functions of the server; the only ones in which something may fail.
  bool call(const char* function) {
    Injector kept = injector;
    injector = {};
    lua_settop(L_, 1);
    lua_getfield(L_, 1, function);
    injector = kept;
    const bool succeeded = lua_pcall(L_, 0, 0, 0) == 0;
    const Pause pause;
    if (!succeeded) result_.errors.emplace_back(lua_tostring(L_, -1));
    return succeeded;
  }

  void serve(Client& first, Client& second, Client& http) {
    for (int i = 0; i < 6; ++i) {
      call("step");
      const Pause pause;
      for (Client* client : {&first, &second, &http}) client->read();
    }
  }

  void play() {
    Injector kept = injector;
    injector = {};
    Client first;
    Client second;
    Client http;
    first.send(handshake("/"));
    second.send(handshake("/?later=yes"));
    http.send(kRequest);
    const auto serve_all = [&] {
      injector = kept;
      serve(first, second, http);
      kept = injector;
      injector = {};
    };
    serve_all();
    first.send(text_frame("one"));
    first.send(binary_frame(std::string(6000, 'b')));
    first.send(text_frame("frag", false));
    first.send(ping_frame("ping"));
    serve_all();
    first.send(continuation_frame("mented", true));
    for (int i = 0; i < 5; ++i) second.send(text_frame("burst"));
    http.send(kRequest);
    serve_all();
    first.send(text_frame("publish"));
    serve_all();
    second.send(text_frame("broadcast"));
    serve_all();
    first.send(text_frame("close"));
    first.send(close_frame(close_body(1000)));
    second.send(close_frame(close_body(1000, "bye")));
    serve_all();
    result_.first = first.messages();
    result_.second = second.messages();
    result_.http = http.received();
    result_.first_ended = first.has_ended();
    result_.second_ended = second.has_ended();
    injector = kept;
  }

  lua_State* L_ = nullptr;
  Result result_;
};

// The date in it differs.
std::string without_dates(std::string text) {
  for (std::size_t at = text.find("Date: "); at != std::string::npos; at = text.find("Date: ", at)) {
    text.erase(at, text.find("\r\n", at) - at);
  }
  return text;
}

// Whole messages, in order; some may be missing: what others would have sent.
void expect_some(const Outcome& outcome, const Outcome& all) {
  EXPECT_EQ(outcome.error, ProtocolError::kNone);
  auto next = all.events.begin();
  for (const std::string& event : outcome.events) {
    if (event.starts_with("close ")) continue;
    next = std::find(next, all.events.end(), event);
    ASSERT_NE(next, all.events.end()) << event;
    ++next;
  }
}

// Who was not disconnected has got all answers to what it sent.
void expect_answers(const Outcome& outcome, const std::vector<std::string>& answers) {
  if (outcome.events.empty() || !outcome.events.back().starts_with("close 1000:")) return;
  for (const std::string& answer : answers) {
    EXPECT_EQ(std::count(outcome.events.begin(), outcome.events.end(), answer),
              std::count(answers.begin(), answers.end(), answer))
        << answer;
  }
}

void expect_same(const Result& result, const Result& all) {
  EXPECT_EQ(result.errors, all.errors);
  EXPECT_EQ(result.notes, all.notes);
  EXPECT_EQ(result.first, all.first);
  EXPECT_EQ(result.second, all.second);
  EXPECT_EQ(without_dates(result.http), without_dates(all.http));
}

class FaultsTest : public testing::Test {
 protected:
  FaultsTest() {
    ::setenv("WEBSOCKETS_DRIVER", "epoll", 1);
    all_ = Scenario().run();
  }

  // Runs until there is no call left to fail, at least so often; gives each result to `check`.
  template <typename Check>
  void fail_each(Kind kind, int error, long least, Check check) {
    bool was_made = true;
    long number = 0;
    while (was_made && !HasFailure()) {
      injector.arm(kind, ++number, error);
      Result result = Scenario().run();
      was_made = injector.disarm();
      SCOPED_TRACE("error " + std::to_string(error) + " at call " + std::to_string(number));
      check(result);
    }
    EXPECT_GT(number, least);
  }

  Result all_;
};

TEST_F(FaultsTest, NothingFails) {
  EXPECT_TRUE(all_.errors.empty());
  EXPECT_EQ(all_.notes["open"], 2);
  EXPECT_EQ(all_.notes["closed"], 2);
  EXPECT_EQ(all_.notes["message"], 11);
  EXPECT_EQ(all_.notes["request"], 2);
  EXPECT_EQ(all_.notes["error"], 0);
  const std::vector<std::string> expected_first = {"text:one",       "binary:" + std::string(6000, 'b'),
                                                   "pong:ping",      "text:fragmented",
                                                   "text:published", "text:broadcast",
                                                   "close 1000:bye"};
  EXPECT_EQ(all_.first.events, expected_first);
  EXPECT_EQ(all_.second.events.size(), 8U);
  EXPECT_TRUE(all_.first_ended && all_.second_ended);
}

TEST_F(FaultsTest, WhatHappensAtAnyTimeChangesNothing) {
  for (const int error : {EAGAIN, EINTR, 0}) {
    fail_each(Kind::kInputOutput, error, 40, [&](const Result& result) { expect_same(result, all_); });
  }
}

// What was received is right as far as it goes; who does not get all of it is disconnected.
void expect_less(const Result& result, const Result& all) {
  expect_some(result.first, all.first);
  expect_some(result.second, all.second);
  expect_answers(result.first, {"text:one", "binary:" + std::string(6000, 'b'), "pong:ping", "text:fragmented"});
  expect_answers(result.second, std::vector<std::string>(5, "text:burst"));
  std::string http = without_dates(result.http);
  http.resize(std::min(http.size(), http.find("HTTP/1.1 500 ")));
  EXPECT_EQ(http, without_dates(all.http).substr(0, http.size()));
  for (const auto& [note, count] : result.notes) {
    const bool is_counted = note == "open" || note == "closed" || note == "request";
    EXPECT_TRUE(!is_counted || count <= all.notes.at(note)) << note;
  }
}

class FailingCallTest : public FaultsTest, public testing::WithParamInterface<std::pair<Kind, int>> {};

TEST_P(FailingCallTest, ClosesTheConnection) {
  fail_each(GetParam().first, GetParam().second, GetParam().first == Kind::kWatch ? 5 : 40, [&](Result& result) {
    expect_less(result, all_);
    EXPECT_EQ(result.notes["open"], result.notes["closed"]);
    // Only what could not be opened is an error.
    EXPECT_TRUE(result.errors.empty() || result.notes["open"] == 0) << result.errors.front();
  });
}

INSTANTIATE_TEST_SUITE_P(Errors, FailingCallTest,
                         testing::Values(std::pair(Kind::kInputOutput, ECONNRESET),
                                         std::pair(Kind::kInputOutput, EPIPE), std::pair(Kind::kInputOutput, ENOBUFS),
                                         std::pair(Kind::kInputOutput, EMFILE), std::pair(Kind::kWatch, ENOMEM),
                                         std::pair(Kind::kWatch, ENOSPC)),
                         [](const auto& info) {
                           return (info.param.first == Kind::kWatch ? "watch" : "io") +
                                  std::to_string(info.param.second);
                         });

TEST_F(FaultsTest, MemoryIsShort) {
  fail_each(Kind::kAllocation, 0, 200, [&](Result& result) {
    expect_less(result, all_);
    for (const std::string& error : result.errors) {
      EXPECT_NE(error.find("not enough memory"), std::string::npos) << error;
    }
    // One that could not be called is reported.
    EXPECT_GE(result.notes["closed"] + result.notes["error"], result.notes["open"]);
  });
}

}  // namespace
}  // namespace websockets::faults
