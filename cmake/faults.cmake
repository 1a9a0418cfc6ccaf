# SPDX-License-Identifier: MIT
# With -DWEBSOCKETS_TESTS=ON: fault_tests, which has the module and its own Lua in one program, so that each of their
# calls can be made to fail.

if(NOT WEBSOCKETS_TESTS OR NOT "lua5.4" IN_LIST found_luas OR NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
  return()
endif()
add_executable(fault_tests tests/faults/faults.cpp tests/faults/scenario_test.cpp ${binding_sources} ${embedded_sources})
add_dependencies(fault_tests embedded_sources)
target_include_directories(fault_tests SYSTEM PRIVATE ${lua5.4_INCLUDE_DIRS})
target_include_directories(fault_tests PRIVATE tests/faults tests/unit)
target_compile_definitions(fault_tests PRIVATE
  WEBSOCKETS_VERSION="${PROJECT_VERSION}" SCENARIO="${CMAKE_SOURCE_DIR}/tests/faults/scenario.lua")
target_link_libraries(fault_tests PRIVATE websockets_engine GTest::gtest_main ${lua5.4_LINK_LIBRARIES})
foreach(call realloc recv send sendmsg accept4 epoll_ctl epoll_wait)
  target_link_options(fault_tests PRIVATE -Wl,--wrap=${call})
endforeach()
