// SPDX-License-Identifier: MIT
#include "soak.h"

#include <array>
#include <string_view>

#include "progress.h"
#include "support.h"

namespace {

// The protocol `echo` is for those of which each message that they send comes back.
constexpr std::array<Life, 21> kLives = {{
    {"echo", "/", Ending::kClose, {}, {}},
    {"echo", "/subscribed", Ending::kClose, {}, {}},
    {"echo", "/deferred", Ending::kClose, {}, {}},
    {"echo", "/", Ending::kCloseByServer, {}, {}},
    {"echo", "/subscribed", Ending::kCloseByServer, {}, {}},
    {"echo", "/", Ending::kViolation, {}, {}},
    {"echo", "/", Ending::kCloseAndLeave, {}, {}},
    {"echo", "/subscribed", Ending::kLeaveInFrame, {}, {}},
    {"echo", "/deferred", Ending::kLeaveInFrame, {}, {}},
    {"echo", "/", Ending::kReset, {}, {}},
    {"echo", "/subscribed", Ending::kReset, {}, {}},
    {"rude", "/", Ending::kResetInTraffic, {}, {}},
    {"rude", "/subscribed", Ending::kResetInTraffic, {}, {}},
    {"rude", "/deferred", Ending::kLeaveInTraffic, {}, {}},
    {"rude", "/subscribed", Ending::kLeaveInTraffic, {}, {}},
    {"echo", "/refused", Ending::kRefused, "upgrade", "HTTP/1.1 403 "},
    {"echo", "/refused-later", Ending::kRefused, "upgrade", "HTTP/1.1 429 "},
    {"unknown", "/", Ending::kRefused, "subprotocol", "HTTP/1.1 400 "},
    {"echo", "/", Ending::kLeaveInHandshake, {}, {}},
    {"vanish", "/deferred", Ending::kLeaveBehindRequest, {}, {}},
    {"echo", "/", Ending::kLeaveAtOnce, {}, {}},
}};

constexpr std::array<unsigned, 7> kCloseCodes = {1000, 1001, 3000, 3999, 4000, 4001, 4999};

std::string request_of(const Life& life) {
  std::string request(Connection::kRequest);
  request.replace(request.find('/'), 1, life.path);
  const std::string protocol = "Sec-WebSocket-Protocol: " + std::string(life.protocol) + "\r\n\r\n";
  request.replace(request.size() - 2, 2, protocol);
  return life.ending == Ending::kLeaveInHandshake ? request.substr(0, request.size() / 2) : request;
}

}  // namespace

Soak::Soak(const Options& options, const Loop& loop, const Target& target)
    : options_(options), loop_(loop), target_(target), traffic_(make_traffic()), clients_(options.connections) {
  for (const Life& life : kLives) requests_.push_back(request_of(life));
}

// False: all that can be begun in time are over.
bool Soak::begin(SoakClient& client) {
  const std::int64_t now = now_ns();
  bool is_alive = false;
  while (!is_alive && now < end_ns_) {
    const std::size_t number = lives_++ % kLives.size();
    const Traffic& traffic = traffic_[random_() % traffic_.size()];
    is_alive = client.begin(loop_, target_, kLives[number], requests_[number], traffic, 1 + random_() % traffic.most,
                            kCloseCodes[random_() % kCloseCodes.size()], counts_);
  }
  return is_alive;
}

std::size_t Soak::run() {
  end_ns_ = now_ns() + static_cast<std::int64_t>(options_.seconds) * kSecondNs;
  Progress progress(options_.mode, options_.timeout_s);
  std::size_t alive = 0;
  for (SoakClient& client : clients_) alive += begin(client) ? 1 : 0;
  std::size_t events = 0;
  while (alive > 0) {
    loop_.wait(1000, [&](Connection& connection, std::uint32_t what) {
      auto& client = static_cast<SoakClient&>(connection);
      ++events;
      if (!client.serve(what) && !begin(client)) --alive;
    });
    progress.tell(events, 0);
  }
  return lives_;
}

void Soak::describe(JsonObject& result) const {
  JsonObject counts;
  for (const auto& [name, value] : counts_) counts.add_json(name, std::to_string(value));
  result.add_json("counts", counts.text());
}
