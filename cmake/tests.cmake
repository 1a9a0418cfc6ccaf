# SPDX-License-Identifier: MIT
# All tests, for CTest, in the folder of the release build: script/test configures it, builds what they need and runs them.
# Labels: 'gate' is what every change has to pass, 'quick' what is run while working; each test also has its suite's
# name and its Lua's. tests/support/run.sh runs one of them.

if(NOT WEBSOCKETS_TEST_MATRIX)
  return()
endif()
enable_testing()

# --- The specs: each row is run once for each of its files ------------------------------------------------------------

# Behaviour that no driver, loop or build can change, so the modes leave it out in the gate.
set(mode_independent
  callback_action callback_error cluster_faults cluster_history cluster_options cluster_presence cluster_workers
  compression_broadcast compression_limits constants context_churn coroutine docs docs_examples error fields finalizer
  handshake http_answer http_refusal origins privileges proxy request request_body respond static static_conditional
  static_range static_traversal stats tls_authorities tls_certificates upgrade upgrade_deferred workers_faults
  workers_run)
# What takes its time, and what no Lua can change: in the gate once, and with the sanitizers.
set(lua_independent cluster_faults)
# What takes minutes: never in the gate, and without modes.
set(long cluster_long)
# The parsers and zlib, where what is not initialised would come from.
set(parsing compression frame http receive static timers tls_data topics)
# Nothing of these is there without pollfd.
set(only_pollfd add_fd copas cqueues ev event luv pollfd service_fd)

# Files: a list above, 'all', or '!' and the list that is left out. Tier: quick, gate, or all (only by --all). Times: how
# much longer than the plain run it takes. Then what run.sh runs it by, and its environment.
set(spec_rows
  # suite    Lua     build            files              tier  times kind           environment
  "specs     lua5.1  build            all                gate  1     spec"
  "specs     lua5.2  build            all                gate  1     spec"
  "specs     lua5.3  build            all                gate  1     spec"
  "specs     lua5.4  build            all                quick 1     spec"
  "specs     lua5.5  build            all                gate  1     spec"
  "specs     luajit  build            all                gate  1     spec"
  "specs     lua5.4  build            long               all   10    spec"
  "specs     luajit  build            long               all   10    spec"
  "io_uring  lua5.4  build            !mode_independent  gate  1     io_uring_spec"
  "io_uring  lua5.4  build            mode_independent   all   1     io_uring_spec"
  "per-fd    luajit  build            !mode_independent  gate  1     spec           SPEC_LOOP=per-fd"
  "per-fd    luajit  build            mode_independent   all   1     spec           SPEC_LOOP=per-fd"
  "per-fd    lua5.1  build            all                all   1     spec           SPEC_LOOP=per-fd"
  "one-fd    lua5.3  build            !mode_independent  gate  1     spec           SPEC_LOOP=one-fd"
  "one-fd    lua5.3  build            mode_independent   all   1     spec           SPEC_LOOP=one-fd"
  "poll      luajit  build            all                all   1     spec           WEBSOCKETS_DRIVER=poll"
  "portable  lua5.4  build/portable   !mode_independent  gate  1     spec           WEBSOCKETS_DRIVER=poll"
  "portable  lua5.4  build/portable   mode_independent   all   1     spec           WEBSOCKETS_DRIVER=poll"
  "sanitize  lua5.1  build/sanitize   all                all   4     sanitized_spec SPEC_COLLECT=300"
  "sanitize  lua5.2  build/sanitize   all                all   4     sanitized_spec SPEC_COLLECT=300"
  "sanitize  lua5.3  build/sanitize   all                all   4     sanitized_spec SPEC_COLLECT=300"
  "sanitize  lua5.4  build/sanitize   all                gate  4     sanitized_spec SPEC_COLLECT=300"
  "sanitize  lua5.5  build/sanitize   all                all   4     sanitized_spec SPEC_COLLECT=300"
  "sanitize  luajit  build/sanitize   all                gate  4     sanitized_spec"
  "valgrind  lua5.4  build            parsing            gate  20    valgrind_spec"
  "valgrind  lua5.4  build            !parsing           all   20    valgrind_spec")

# Nor of these without hiredis.
file(GLOB only_hiredis RELATIVE ${CMAKE_SOURCE_DIR}/spec CONFIGURE_DEPENDS spec/cluster*_spec.lua)
list(TRANSFORM only_hiredis REPLACE "_spec.lua$" "")

# A name, labels, seconds that it takes about and may take at most, then the kind of run.sh with its arguments.
function(add_case name labels seconds limit_s)
  add_test(NAME ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMAND bash tests/support/run.sh ${name} ${limit_s} ${ARGN})
  math(EXPR timeout_s "${limit_s} + 30")
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" COST ${seconds} TIMEOUT ${timeout_s})
endfunction()

function(tier_labels variable tier)
  if(tier STREQUAL quick)
    set(${variable} gate quick PARENT_SCOPE)
  elseif(tier STREQUAL gate)
    set(${variable} gate PARENT_SCOPE)
  else()
    set(${variable} "" PARENT_SCOPE)
  endif()
endfunction()

file(GLOB spec_files RELATIVE ${CMAKE_SOURCE_DIR}/spec CONFIGURE_DEPENDS spec/*_spec.lua)
list(TRANSFORM spec_files REPLACE "_spec.lua$" "")
foreach(list IN ITEMS mode_independent lua_independent long parsing only_pollfd)
  foreach(name IN LISTS ${list})
    if(NOT name IN_LIST spec_files)
      message(FATAL_ERROR "There is no spec/${name}_spec.lua, which cmake/tests.cmake has in its list ${list}")
    endif()
  endforeach()
endforeach()

foreach(row IN LISTS spec_rows)
  separate_arguments(row UNIX_COMMAND "${row}")
  list(POP_FRONT row suite lua folder files tier times kind)
  set(names ${spec_files})
  list(REMOVE_ITEM names ${long})
  if(files MATCHES "^!(.*)")
    list(REMOVE_ITEM names ${${CMAKE_MATCH_1}})
  elseif(NOT files STREQUAL all)
    set(names ${${files}})
  endif()
  if(suite STREQUAL portable)
    list(REMOVE_ITEM names ${only_pollfd} ${only_hiredis})
  endif()
  math(EXPR limit_s "120 + 60 * ${times}")
  foreach(name IN LISTS names)
    tier_labels(labels ${tier})
    if(name IN_LIST lua_independent AND NOT lua STREQUAL lua5.4)
      tier_labels(labels all)
    endif()
    # What a file takes is about proportional to its size.
    file(SIZE ${CMAKE_SOURCE_DIR}/spec/${name}_spec.lua bytes)
    math(EXPR seconds "${bytes} * ${times} / 5000")
    add_case(${suite}/${lua}/${name} "${suite};${lua};${labels}" ${seconds} ${limit_s}
      ${kind} ${lua} ${folder} spec/${name}_spec.lua TIME_FACTOR=${times} ${row})
  endforeach()
endforeach()

# --- Everything else --------------------------------------------------------------------------------------------------

add_case(format/clang-format "format;gate" 10 300 format)
add_case(format/shellcheck "format;gate" 10 300 shell)
add_case(format/includes "format;gate;quick" 1 60 peers lua5.4 tests/support/check_includes.sh)

# With the sanitizers.
add_case(unit/unit_tests "unit;gate;quick" 60 900 gtest unit_tests * IoBatchTest.*:IoUringBatchIoTest.*)
add_case(unit/faults_of_memory "unit;gate" 100 900 gtest fault_tests_lua5.4 *Memory* *in_batches:*io_uring)
add_case(unit/faults_of_calls "unit;gate" 100 900 gtest fault_tests_lua5.4
  *NothingFails*:*ChangesNothing*:*NoInput*:*NotToBe* *in_batches:*io_uring)

add_case(portable/calls "portable;gate;lua5.4" 1 60 portable_calls lua5.4)

# Into empty trees. LuaJIT has what is installed for Lua 5.1.
add_case(install/cmake "install;gate" 20 600 peers lua5.4 tests/interop/install.sh cmake)
add_case(install/debian "install;gate" 20 600 peers lua5.4 tests/interop/install.sh debian)
add_case(install/luarocks "install;gate" 120 900 peers lua5.4 tests/interop/install.sh luarocks lua5.4)
add_case(install/luarocks-others "install" 300 1500 peers lua5.4 tests/interop/install.sh luarocks lua5.1 lua5.2 lua5.3
  lua5.5)

file(GLOB interop_files RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS
  tests/interop/*.py tests/interop/*.sh tests/interop/*.mjs tests/interop/*.lua tests/browser/*.py)
foreach(file IN LISTS interop_files)
  execute_process(COMMAND test -x ${CMAKE_SOURCE_DIR}/${file} RESULT_VARIABLE is_helper)
  if(NOT is_helper)
    get_filename_component(name ${file} NAME)
    add_case(interop/${name} "interop;gate" 60 900 peers lua5.4 ${file})
  endif()
endforeach()

add_case(interop/deploying-long "interop" 60 600 peers lua5.4 tests/interop/deploying.py --long)

# In the gate only what was found before; a minute of search for each by --all.
file(GLOB fuzz_targets RELATIVE ${CMAKE_SOURCE_DIR}/tests/fuzz CONFIGURE_DEPENDS tests/fuzz/*.cpp)
list(TRANSFORM fuzz_targets REPLACE ".cpp$" "")
foreach(target IN LISTS fuzz_targets)
  add_case(fuzz/${target} "fuzz;gate" 10 300 fuzz ${target} -runs=0)
  add_case(fuzz/${target}-search "fuzz" 60 300 fuzz ${target} -max_total_time=60)
endforeach()

# clang-tidy: in the gate over what has changed and what includes it, see changed_sources.cmake.
include(cmake/changed_sources.cmake)
file(GLOB_RECURSE tidy_files RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS src/*.cpp)
changed_sources(changed_files ${tidy_files})
foreach(file IN LISTS tidy_files)
  set(labels tidy)
  if(file IN_LIST changed_files)
    list(APPEND labels gate)
  endif()
  file(SIZE ${CMAKE_SOURCE_DIR}/${file} bytes)
  math(EXPR seconds "5 + ${bytes} / 2000")
  add_case(tidy/${file} "${labels}" ${seconds} 600 tidy ${file})
endforeach()

add_case(platform/debian13 "platform" 1200 5400 platform debian13)
