// SPDX-License-Identifier: MIT
// A message's way through Redis by nothing but hiredis: bare HOST PORT send COUNT SECONDS, bare HOST PORT hear COUNT;
// with a unix socket PORT is 0 and HOST its path. They say and do what the roles send_times and hear_times of node.lua
// do.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void wait_for_line(const char* what) {
  std::cout << what << std::endl;
  std::string line;
  std::getline(std::cin, line);
}

redisReply* check(void* reply) {
  if (reply == nullptr) std::exit(1);
  return static_cast<redisReply*>(reply);
}

void send(redisContext* redis, int count, double seconds) {
  wait_for_line("ready");
  auto next = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    next += std::chrono::microseconds(static_cast<long>(seconds * 1e6));
    std::this_thread::sleep_until(next);
    freeReplyObject(check(redisCommand(redis, "PUBLISH bare %f", now())));
  }
  std::cout << "done" << std::endl;
}

void hear(redisContext* redis, int count) {
  freeReplyObject(check(redisCommand(redis, "SUBSCRIBE bare")));
  wait_for_line("ready");
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    void* reply = nullptr;
    if (redisGetReply(redis, &reply) != REDIS_OK) std::exit(1);
    times.push_back(now() - std::strtod(static_cast<redisReply*>(reply)->element[2]->str, nullptr));
    freeReplyObject(reply);
  }
  std::sort(times.begin(), times.end());
  std::cout << "done " << times[times.size() / 2] * 1e6 << ' ' << times[times.size() * 99 / 100] * 1e6 << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const int port = std::atoi(argv[2]);
  redisContext* const redis = port == 0 ? redisConnectUnix(argv[1]) : redisConnect(argv[1], port);
  if (redis == nullptr || redis->err != 0) return 1;
  if (std::string(argv[3]) == "send" && argc > 5) {
    send(redis, std::atoi(argv[4]), std::atof(argv[5]));
  } else {
    hear(redis, std::atoi(argv[4]));
  }
  redisFree(redis);
  return 0;
}
