# SPDX-License-Identifier: MIT
# What makes a mistake end the process instead of serving an attacker. Not with sanitizers, which see more, and not in the
# fuzz targets, which have system calls of their own.

if(WEBSOCKETS_SANITIZE OR WEBSOCKETS_FUZZ)
  return()
endif()
include(CheckCXXCompilerFlag)
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "has${flag}" has_flag)
  check_cxx_compiler_flag(${flag} ${has_flag})
  if(${has_flag})
    add_compile_options(${flag})
  endif()
endforeach()
# Distributions that set it themselves set what they want.
if(NOT CMAKE_CXX_FLAGS MATCHES _FORTIFY_SOURCE)
  add_compile_options($<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
endif()
if(NOT APPLE)
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
