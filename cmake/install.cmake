# SPDX-License-Identifier: MIT
# cmake --install, what undoes it (the target uninstall), and the Debian package: cpack --config build/CPackConfig.cmake

include(GNUInstallDirs)
set(WEBSOCKETS_INSTALL_CMOD "" CACHE PATH "Where to install the module; by default lib/lua/X.Y for each Lua")
set(documents ${CMAKE_INSTALL_DATAROOTDIR}/doc/lua-websockets)

foreach(lua IN LISTS built_for)
  # LuaJIT looks for its modules where Lua 5.1 does, and takes the same ones; but not the other way round.
  if(lua MATCHES jit AND "lua5.1" IN_LIST built_for)
    continue()
  endif()
  set(folder lua/${lua_version_${lua}})
  if(WEBSOCKETS_INSTALL_CMOD)
    set(destination ${WEBSOCKETS_INSTALL_CMOD})
  else()
    set(destination ${CMAKE_INSTALL_LIBDIR}/${folder})
  endif()
  install(TARGETS websockets_${lua} LIBRARY DESTINATION ${destination} COMPONENT module)
  # Debian's LuaJIT looks in the folder of the architecture only.
  install(TARGETS websockets_${lua} LIBRARY DESTINATION lib/${CMAKE_LIBRARY_ARCHITECTURE}/${folder}
    COMPONENT debian EXCLUDE_FROM_ALL)
endforeach()

if(WEBSOCKETS_INSTALL_CMOD) # by luarocks, which has its own ways for documents
  return()
endif()
install(DIRECTORY types DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/lua-websockets COMPONENT documents)
install(FILES README.md CHANGELOG.md CONTRIBUTING.md LICENSE SECURITY.md DESTINATION ${documents} COMPONENT documents)
install(FILES LICENSE DESTINATION ${documents} RENAME copyright COMPONENT debian EXCLUDE_FROM_ALL)
install(DIRECTORY docs examples test-server DESTINATION ${documents} COMPONENT documents)

add_custom_target(uninstall
  COMMAND ${CMAKE_COMMAND} -DMANIFEST=${CMAKE_BINARY_DIR}/install_manifest.txt
    -P ${CMAKE_CURRENT_LIST_DIR}/uninstall.cmake
  VERBATIM)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lua-websockets)
set(CPACK_PACKAGE_CONTACT "The maintainers of lua-websockets")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "WebSocket server for Lua")
set(CPACK_PACKAGE_DESCRIPTION "A WebSocket server (RFC 6455) for Lua 5.1 to 5.5 and LuaJIT: callbacks in Lua in front,
an engine in C++ behind. It runs on its own or inside another event loop.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL debian documents)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_ENHANCES "lua5.1, lua5.2, lua5.3, lua5.4, lua5.5, luajit")
include(CPack)
