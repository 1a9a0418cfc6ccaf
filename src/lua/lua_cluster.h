// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cluster/redis_backplane.h"
#include "dial/dialer.h"
#include "dial/tls_client_contexts.h"
#include "loop/background_tasks.h"
#include "net/timer_wheel.h"

namespace websockets::lua {

class LuaContext;

// What joins a context to those of other machines, and the way from its events to Lua functions.
class LuaCluster final : private RedisBackplaneOwner, private Timer {
 public:
  // It connects when the context is served first. The context is open, and outlives it. Throws std::bad_alloc.
  LuaCluster(LuaContext& context, const ClusterOptions& options, std::size_t max_message_bytes);
  ~LuaCluster();
  LuaCluster(const LuaCluster&) = delete;
  LuaCluster& operator=(const LuaCluster&) = delete;

  RedisBackplane& backplane() { return backplane_; }

  // As the context ends.
  void finish();
  void abandon();

 private:
  void on_cluster(ClusterEvent event, std::string_view why) override;
  void on_cluster_report(std::string_view text) override;
  bool wrap(std::string_view topic, Opcode& opcode, std::string_view data, std::string_view position,
            std::string& wrapped) override;
  void on_timeout() override;

  LuaContext& context_;
  BackgroundTasks tasks_;
  TlsClientContexts tls_;
  DialServices services_;
  RedisBackplane backplane_;
};

}  // namespace websockets::lua
