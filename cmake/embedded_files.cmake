# SPDX-License-Identifier: MIT
# Makes a C++ file of each file in lua/websockets/: see embed_lua.cmake. embedded_sources is the list of them; what is
# compiled of them depends on the target of that name, so that they are generated once. The files have to be Lua 5.1.
find_program(WEBSOCKETS_LUAC NAMES luac5.1 luac)
file(GLOB embedded_files CONFIGURE_DEPENDS lua/websockets/*.lua)
set(embedded_sources "")
foreach(file IN LISTS embedded_files)
  get_filename_component(name ${file} NAME_WE)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cpp)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${file} -DOUTPUT=${output}
      "-DLUAC=$<$<BOOL:${WEBSOCKETS_LUAC}>:${WEBSOCKETS_LUAC}>" -P ${CMAKE_CURRENT_LIST_DIR}/embed_lua.cmake
    DEPENDS ${file} ${CMAKE_CURRENT_LIST_DIR}/embed_lua.cmake
    VERBATIM)
  list(APPEND embedded_sources ${output})
endforeach()
add_custom_target(embedded_sources DEPENDS ${embedded_sources})
