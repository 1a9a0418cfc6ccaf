# SPDX-License-Identifier: MIT
# Microbenchmarks, where Google Benchmark is found: micro of the engine's parts, micro_${lua} of what Lua itself takes.
# workers_latency needs nothing beside the engine, on Linux. They are built only when they are asked for.

if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  add_executable(workers_latency EXCLUDE_FROM_ALL bench/workers/latency.cpp)
  target_link_libraries(workers_latency PRIVATE websockets_engine)
endif()

find_package(benchmark QUIET)
if(NOT benchmark_FOUND)
  return()
endif()

function(add_micro name source)
  add_executable(${name} EXCLUDE_FROM_ALL bench/micro/${source})
  target_link_libraries(${name} PRIVATE benchmark::benchmark ${ARGN})
endfunction()

add_micro(micro protocol.cpp websockets_engine)
foreach(lua IN LISTS found_luas)
  add_micro(micro_${lua} lua.cpp ${${lua}_LINK_LIBRARIES})
  target_include_directories(micro_${lua} SYSTEM PRIVATE ${${lua}_INCLUDE_DIRS})
endforeach()
