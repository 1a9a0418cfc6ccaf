// SPDX-License-Identifier: MIT
#include "lua/lua_workers.h"

#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cluster/program_deployment.h"
#include "lua/default_context.h"
#include "lua/entry.h"
#include "lua/lua_clients.h"
#include "lua/lua_context.h"
#include "lua/other_contexts.h"
#include "lua/push.h"
#include "lua/random_seed.h"
#include "lua/served_along.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "server/context.h"

namespace websockets::lua {
namespace {

constexpr int kCallbacks = LuaCalls::kCallbacks;

// The adapter of another loop, which nobody runs here, does not get the default context.
void forget_host(lua_State* L) {
  push_shared_table(L);
  lua_rawgeti(L, -1, kHost);
  lua_pushnil(L);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 2);
}

}  // namespace

// --- Where they are run ---

Result<WorkersEnd> LuaWorkers::run(lua_State* L, int callbacks) {
  L_ = L;
  callbacks_ = callbacks;
  begun_ms_ = monotonic_exact_ms();
  const std::unique_ptr<LuaWorkers, void (*)(LuaWorkers*)> running(this, [](LuaWorkers* workers) {
    workers->pool_ = nullptr;
    workers->L_ = nullptr;
  });
  const EntryWithoutRound entry(context_, L, callbacks);
  ProgramDeployment deployment(options.command.empty() ? program_start()
                                                       : ProgramStart{options.command, program_start().directory});
  options.pool.deployment = &deployment;
  WorkerPool pool(context_.context(), options.pool, *this);
  pool_ = &pool;
  Result<WorkersEnd> end = pool.run();
  if (!end) deployment.fail(end.error().text);
  if (end) context_.waits().give_up();  // they were those of worker 1
  return end;
}

void LuaWorkers::stop() {
  if (worker_ != nullptr) {
    worker_->ask_to_stop();
  } else if (pool_ != nullptr) {
    pool_->stop();
  }
}

const WorkerStatus& LuaWorkers::status() {
  if (worker_ == nullptr) return pool_->status();
  worker_->publish_status();
  return worker_->status();
}

void LuaWorkers::on_worker_exit(int id, std::string_view why) {
  const Entry entry(context_, L_, callbacks_);
  context_.calls().run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnWorkerExit);
    if (!lua_isfunction(L, -1)) return;
    lua_pushinteger(L, id);
    push_text(L, why);
    lua_call(L, 2, 0);
  });
}

void LuaWorkers::on_report(std::string_view text) {
  const Entry entry(context_, L_, callbacks_);
  context_.calls().warn(text);
}

// --- In each of them ---

Error LuaWorkers::on_worker(Worker& worker) {
  worker_ = &worker;
  // What is on the stack will never return.
  context_.calls().leave({});
  context_.shared().running = nullptr;
  const EntryWithoutRound entry(context_, L_, callbacks_);
  context_.calls().set_worker(worker.id());
  destroy_others(context_);
  begin_afresh(worker);
  return call_on_worker(worker);
}

// What was there when run() began is that process's; but what had been put off is begun by worker 1, and by those who
// take its place.
void LuaWorkers::begin_afresh(const Worker& worker) {
  LuaCalls& calls = context_.calls();
  if (context_.has_clients()) context_.clients().abandon();
  if (worker.id() == 1) {
    context_.timers().delay_all(monotonic_exact_ms() - begun_ms_);
  } else {
    context_.timers().stop_all(calls.state(), calls.callbacks());
    context_.waits().give_up();
  }
  calls.run(nullptr, [](lua_State* L) {
    forget_host(L);
    seed_random(L);
  });
}

Error LuaWorkers::call_on_worker(const Worker& worker) {
  const Loop::Round round(*context_.loop());
  LuaCalls& calls = context_.calls();
  lua_State* const L = calls.state();
  const int top = lua_gettop(L);
  lua_rawgeti(L, calls.callbacks(), kMessageHandler);
  lua_rawgeti(L, calls.callbacks(), kOnWorker);
  Error error;
  if (lua_isfunction(L, -1)) {
    lua_pushinteger(L, worker.id());
    lua_pushinteger(L, worker.count());
    if (lua_pcall(L, 2, 0, top + 1) != 0) {
      const char* const text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not enough memory";
      calls.report_failure(lua_gettop(L), kNoSlot, "error in on_worker: ");
      error.text = std::string("on_worker: ") + std::string(text).substr(0, std::string_view(text).find('\n'));
    }
  }
  lua_settop(L, top);
  return error;
}

// What another one sends is delivered between the rounds, so that no callback that serves the context gets it before it
// has returned.
int LuaWorkers::serve(Worker& worker) {
  {
    ServedAlong along(context_);
    while (context_.is_open()) {
      const EntryWithoutRound entry(context_, L_, callbacks_);
      context_.context().service(worker.wait_ms(along.prepare()));
      along.finish();
      worker.deliver();
    }
  }
  end_default_context();
  return 0;
}

// Its clients say good-bye.
void LuaWorkers::end_default_context() {
  LuaContext* const other = find_default_context(context_.shared());
  if (other == nullptr) return;
  push_context(L_, *other);
  get_user_table(L_, -1);
  {
    const Entry entry(*other, L_, lua_gettop(L_));
    other->context().destroy();
  }
  lua_pop(L_, 2);
}

void LuaWorkers::on_gap(int id) {
  context_.calls().run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnCluster);
    if (!lua_isfunction(L, -1)) return;
    lua_pushliteral(L, "gap");
    lua_pushfstring(L, "worker %d", id);
    lua_call(L, 2, 0);
  });
}

}  // namespace websockets::lua
