// SPDX-License-Identifier: MIT
//
// Usage: uwebsockets_echo PORT [broadcast]
//
// Echoes, or with 'broadcast' sends each message to everyone, by uWebSockets. Prints its port when it can be connected
// to. Debian does not have the library: build this as its examples are built, without TLS and zlib, and name the
// program in UWEBSOCKETS_ECHO.

#include <App.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

constexpr unsigned kMaxMessageBytes = 16U << 20U;
constexpr unsigned kMaxQueueBytes = 16U << 20U;
constexpr const char* kTopic = "everyone";

struct Session {};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool is_broadcasting = argc > 2 && std::string_view(argv[2]) == "broadcast";
  const char* const port = argv[1];
  uWS::App app;
  uWS::App::WebSocketBehavior<Session> behavior;
  behavior.compression = uWS::DISABLED;
  behavior.maxPayloadLength = kMaxMessageBytes;
  behavior.maxBackpressure = kMaxQueueBytes;
  behavior.idleTimeout = 0;
  if (is_broadcasting) {
    behavior.open = [](auto* ws) { ws->subscribe(kTopic); };
    behavior.message = [&app](auto* /*ws*/, std::string_view message, uWS::OpCode type) {
      app.publish(kTopic, message, type);
    };
  } else {
    behavior.message = [](auto* ws, std::string_view message, uWS::OpCode type) { ws->send(message, type); };
  }
  app.ws<Session>("/*", std::move(behavior));
  app.listen("127.0.0.1", std::atoi(port), [port](auto* listener) {
    if (listener == nullptr) std::exit(1);
    std::puts(port);
    std::fflush(stdout);
  });
  app.run();
}
