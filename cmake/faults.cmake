# SPDX-License-Identifier: MIT
# With -DWEBSOCKETS_TESTS=ON: fault_tests_${lua}, which has the module and its own Lua in one program, so that each of
# their calls can be made to fail. They are built only when they are asked for.

if(NOT WEBSOCKETS_TESTS OR WEBSOCKETS_LUA_INCLUDE_DIR OR NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
  return()
endif()
file(GLOB fault_sources CONFIGURE_DEPENDS tests/faults/*.cpp)
list(APPEND fault_sources tests/support/wrapped_allocations.cpp)
set(wrapped_calls
  recv send sendmsg pread sendfile accept4 epoll_wait poll # move bytes, or wait for them
  epoll_ctl
  timerfd_settime waitpid # only to be refused
  epoll_create1 timerfd_create socket setsockopt bind listen chmod pipe socketpair fstat open openat mmap fork syscall
  getnameinfo
  _ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE
  realloc deflateInit2_ inflateInit2_)
list(TRANSFORM wrapped_calls PREPEND "-Wl,--wrap=")
foreach(lua IN LISTS found_luas)
  set(program fault_tests_${lua})
  add_executable(${program} EXCLUDE_FROM_ALL ${fault_sources} $<TARGET_OBJECTS:binding_${lua}>)
  target_include_directories(${program} SYSTEM PRIVATE ${${lua}_INCLUDE_DIRS})
  target_include_directories(${program} PRIVATE tests/faults tests/unit tests/support)
  target_compile_definitions(${program} PRIVATE SERVERS="${CMAKE_SOURCE_DIR}/tests/faults/servers")
  target_link_libraries(${program} PRIVATE websockets_engine GTest::gtest_main ${${lua}_LINK_LIBRARIES})
  target_link_options(${program} PRIVATE ${wrapped_calls})
  target_compile_options(${program} PRIVATE $<$<CONFIG:Debug>:-O0>)
endforeach()
