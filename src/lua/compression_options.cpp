// SPDX-License-Identifier: MIT
#include "lua/compression_options.h"

#include <array>
#include <cstring>

#include "lua/option_values.h"

namespace websockets::lua {
namespace {

// What a compressor takes in memory, by the sizes that zlib has: its window, and its tables (DeflateSettings).
void read_compression_memory(OptionReader& reader, CompressionOptions& compression, std::uint8_t& window_bits) {
  struct Size {
    const char* name;
    std::uint8_t window_bits;
    int memory_level;
  };
  static constexpr std::array<Size, 8> kSizes = {{{"256KB", 15, 8},
                                                  {"128KB", 14, 7},
                                                  {"64KB", 13, 6},
                                                  {"32KB", 12, 5},
                                                  {"16KB", 11, 4},
                                                  {"8KB", 10, 3},
                                                  {"4KB", 9, 2},
                                                  {"3KB", 9, 1}}};
  lua_State* const L = reader.state();
  const bool is_given = reader.get("memory");
  const char* name = is_given && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  for (const Size& size : kSizes) {
    if (is_given && std::strcmp(name, size.name) != 0) continue;
    window_bits = size.window_bits;
    compression.memory_level = size.memory_level;
    if (is_given) lua_pop(L, 1);
    return;
  }
  reader.raise_value("memory", "'3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB' or '256KB'");
}

// One boolean for both directions, or a table of two.
void read_context_takeover(OptionReader& reader, DeflateParameters& wanted) {
  lua_State* const L = reader.state();
  bool server = false;
  bool client = false;
  if (reader.get("context_takeover")) {
    if (lua_istable(L, -1)) {
      const int table = lua_gettop(L);
      OptionReader directions(L, table, reader.raise_error(), "compression.context_takeover.");
      directions.read_boolean("server", server);
      directions.read_boolean("client", client);
      directions.refuse_unknown();
      lua_settop(L, table);
    } else if (lua_isboolean(L, -1)) {
      server = client = lua_toboolean(L, -1) != 0;
    } else {
      reader.raise_value("context_takeover", "true, false or a table");
    }
    lua_pop(L, 1);
  }
  wanted.server_no_context_takeover = !server;
  wanted.client_no_context_takeover = !client;
}

}  // namespace

void read_compression(OptionReader& config, Role role, std::optional<CompressionOptions>& options) {
  lua_State* const L = config.state();
  if (!config.get("compression")) return;
  if (lua_isboolean(L, -1)) {
    if (lua_toboolean(L, -1) == 0) return lua_pop(L, 1);
    lua_newtable(L);
    lua_replace(L, -2);
  }
  if (!lua_istable(L, -1)) config.raise_value("compression", "true, false or a table");
  const int table = lua_gettop(L);
  CompressionOptions& compression = options.emplace();
  OptionReader reader(L, table, config.raise_error(), "compression.");
  reader.read_whole("level", 0, 9, "a whole number from 0 to 9", compression.level);
  reader.read_whole("min_size", 0, kMaxBytes, "a number of bytes up to 2^53", compression.min_bytes);
  DeflateParameters& wanted = compression.wanted;
  const bool is_server = role == Role::kServer;
  read_compression_memory(reader, compression,
                          is_server ? wanted.server_max_window_bits : wanted.client_max_window_bits);
  read_context_takeover(reader, wanted);
  reader.read_whole(is_server ? "client_max_window_bits" : "server_max_window_bits", 9, 15,
                    "a whole number from 9 to 15",
                    is_server ? wanted.client_max_window_bits : wanted.server_max_window_bits);
  reader.refuse_unknown();
  lua_settop(L, table - 1);
}

}  // namespace websockets::lua
