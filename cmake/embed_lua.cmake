# SPDX-License-Identifier: MIT
# Usage: cmake -DSOURCE=lua/websockets/NAME.lua -DOUTPUT=FILE.cpp [-DLUAC=luac5.1] -P embed_lua.cmake
#
# Makes a C++ file of a Lua file: it becomes luaopen_websockets_NAME, which Lua finds in websockets.so when a script
# says require 'websockets.NAME'.
if(LUAC)
  execute_process(COMMAND ${LUAC} -p ${SOURCE} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${SOURCE} is not Lua")
  endif()
endif()

get_filename_component(name ${SOURCE} NAME_WE)
file(READ ${SOURCE} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
  bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"lua/embedded.h\"

namespace {
constexpr unsigned char kSource[] = {
${bytes}};
}

extern \"C\" __attribute__((visibility(\"default\"))) int luaopen_websockets_${name}(lua_State* L) {
  return websockets::lua::run_embedded(L, \"=websockets.${name}\", kSource, sizeof kSource);
}
")
