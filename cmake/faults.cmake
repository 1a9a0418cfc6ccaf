# SPDX-License-Identifier: MIT
# With -DWEBSOCKETS_TESTS=ON: fault_tests, which has the module and its own Lua in one program, so that each of their
# calls can be made to fail.

if(NOT WEBSOCKETS_TESTS OR NOT "lua5.4" IN_LIST found_luas OR NOT CMAKE_SYSTEM_NAME STREQUAL Linux)
  return()
endif()
file(GLOB fault_sources CONFIGURE_DEPENDS tests/faults/*.cpp)
add_executable(fault_tests ${fault_sources} ${binding_sources} ${embedded_sources})
add_dependencies(fault_tests embedded_sources)
target_include_directories(fault_tests SYSTEM PRIVATE ${lua5.4_INCLUDE_DIRS})
target_include_directories(fault_tests PRIVATE tests/faults tests/unit)
target_compile_definitions(fault_tests PRIVATE
  WEBSOCKETS_VERSION="${PROJECT_VERSION}" SERVERS="${CMAKE_SOURCE_DIR}/tests/faults/servers")
target_link_libraries(fault_tests PRIVATE websockets_engine GTest::gtest_main ${lua5.4_LINK_LIBRARIES})
set(wrapped_calls
  recv send sendmsg pread sendfile accept4 epoll_wait poll # move bytes, or wait for them
  epoll_ctl
  epoll_create1 timerfd_create socket setsockopt bind listen chmod pipe socketpair fstat open openat mmap fork syscall
  getnameinfo
  _ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE
  realloc deflateInit2_ inflateInit2_)
list(TRANSFORM wrapped_calls PREPEND "-Wl,--wrap=")
target_link_options(fault_tests PRIVATE ${wrapped_calls})
