-- SPDX-License-Identifier: MIT
-- luarocks make rockspecs/lua-websockets-1.0.0-1.rockspec
rockspec_format = '3.0'
package = 'lua-websockets'
version = '1.0.0-1'
source = {
  url = '.', -- the folder of the sources: luarocks make
}
description = {
  summary = 'WebSocket server for Lua',
  detailed = [[
    A WebSocket server (RFC 6455): callbacks in Lua in front, an engine in C++ behind. It speaks TCP and TLS, serves the
    web page that goes with it, and runs on its own or inside another event loop.]],
  license = 'MIT',
}
dependencies = { 'lua >= 5.1, < 5.6' }
external_dependencies = {
  OPENSSL = { header = 'openssl/ssl.h' },
  ZLIB = { header = 'zlib.h' },
  BOOST = { header = 'boost/version.hpp' }, -- nothing of it is needed at run time
}
build = {
  type = 'cmake',
  variables = {
    CMAKE_BUILD_TYPE = 'Release',
    CMAKE_INSTALL_PREFIX = '$(PREFIX)',
    OPENSSL_ROOT_DIR = '$(OPENSSL_DIR)',
    ZLIB_ROOT = '$(ZLIB_DIR)',
    BOOST_ROOT = '$(BOOST_DIR)',
    WEBSOCKETS_LUA_INCLUDE_DIR = '$(LUA_INCDIR)',
    WEBSOCKETS_INSTALL_CMOD = '$(LIBDIR)',
    WEBSOCKETS_WARNINGS_ARE_ERRORS = 'OFF',
  },
  copy_directories = { 'docs', 'examples', 'types' },
}
