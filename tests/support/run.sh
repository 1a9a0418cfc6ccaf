#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: bash tests/support/run.sh NAME LIMIT_S KIND ARGUMENT...
#
# One test of cmake/tests.cmake, from the root of the repository. What it prints goes into build/test-logs/NAME.log, what
# it counted ('PASSED FAILED') into build/test-logs/NAME.count. It passes when its last line is 'N passed, 0 failed', N is
# not 0 and the exit status is 0; else the log, without what passed, is printed. KIND is one of the functions below.

set -euo pipefail
shopt -s nullglob
PATH=$PWD/build/luas/bin:$PATH # what script/lua5.5 has built

# A spec file, in a process of its own: the Lua, the module's folder, the file, then what to run it with.
spec() {
  local lua=$1 folder=$2 file=$3 options=()
  shift 3
  [[ $folder != build/portable ]] || options+=(--exclude-tags=pollfd)
  env LUA="$lua" LUA_CPATH="$PWD/$folder/$lua/?.so;;" "$@" \
    "$lua" /usr/bin/busted -o spec/support/report.lua "${options[@]}" "$file"
}

# The same under Valgrind.
valgrind_spec() {
  spec "$@" valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --keep-debuginfo=yes \
    --child-silent-after-fork=yes --suppressions=tests/support/valgrind.supp
}

# The same with the sanitizers: the interpreter is not built with them, so their library has to be there first.
sanitized_spec() {
  local libraries
  libraries="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so) $PWD/build/sanitize/keep_loaded.so"
  spec "$@" UBSAN_OPTIONS=print_stacktrace=1 \
    LSAN_OPTIONS="suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0" LD_PRELOAD="$libraries"
}

# Not every system has io_uring, or allows it.
io_uring_spec() {
  if ! WEBSOCKETS_DRIVER=io_uring LUA_CPATH="$PWD/$2/$1/?.so;;" \
    "$1" -e "require('websockets').context({ protocols = { p = print } })" &>/dev/null; then
    echo 'This system has no io_uring, or does not allow it: 0 passed, 0 failed'
    exit 77
  fi
  spec "$@" WEBSOCKETS_DRIVER=io_uring
}

# A program of GoogleTest: its name, which of its tests, and which of them need io_uring.
gtest() {
  local filter=$2
  if [[ $(build/sanitize/unit_tests --gtest_filter='IoBatchTest.*') == *SKIPPED* ]]; then filter+=-$3; fi
  "build/sanitize/$1" --gtest_filter="$filter" --gtest_brief=1 --gtest_color=no | awk '
    { print }
    /^\[  PASSED  \] [0-9]+ test/ { passed = $4; complete = 1 }
    /^\[  SKIPPED \] [0-9]+ test/ { failed += $4 }
    /^\[  FAILED  \] .*\([0-9]+ ms\)$/ { failed++ }
    END { if (complete) printf "%d passed, %d failed\n", passed, failed }'
}

# Other people's clients, servers and browsers: the Lua, the file, its arguments.
peers() {
  local runner=bash
  case $2 in
    *.py) runner=/usr/bin/python3 ;;
    *.lua) runner=$1 ;;
    *.mjs) runner=node ;;
  esac
  LUA=$1 LUA_CPATH="$PWD/build/$1/?.so;;" NODE_PATH=/usr/share/nodejs "$runner" "${@:2}"
}

# A fuzz target: its name, then options of libFuzzer. What ends a run is written beside the logs; it belongs among the
# seeds when it is mended.
fuzz() {
  mkdir -p "build/fuzz/corpus/$1"
  each_passes "build/fuzz/fuzz_$1" -max_len=2048 -verbosity=0 -artifact_prefix="build/test-logs/$1-" "${@:2}" -- \
    "build/fuzz/corpus/$1 tests/fuzz/seeds/$1"
}

# A command with its options, --, and what to call it with, one after the other (words of one argument are several).
each_passes() {
  local command=() words passed=0 failed=0
  while [[ $1 != -- ]]; do
    command+=("$1")
    shift
  done
  shift
  for words in "$@"; do
    read -ra words <<<"$words"
    if "${command[@]}" "${words[@]}"; then
      passed=$((passed + 1))
    else
      echo "FAILED: ${words[*]}"
      failed=$((failed + 1))
    fi
  done
  echo "$passed passed, $failed failed"
}

tidy() { each_passes clang-tidy --quiet -p build/tidy -- "$@"; }

is_formatted() { clang-format "$1" | diff -u "$1" -; }

format() {
  local files
  mapfile -t files < <(find ./* -path ./build -prune -o \( -name '*.cpp' -o -name '*.h' \) -print)
  each_passes is_formatted -- "${files[@]}"
}

shell() { each_passes shellcheck -- script/* .ci/run tests/*/*.sh; }

# What only Linux has (and macOS, say, has not) must not be called by the portable module.
calls_no_linux() {
  ! nm -D --undefined-only "build/portable/$1/websockets.so" | grep -E ' (accept4|epoll_|eventfd|pipe2|prctl|sendfile|signalfd|sigtimedwait|timerfd_)'
}

# It is built without hiredis, too.
refuses_a_cluster() {
  env LUA_CPATH="build/portable/$1/?.so;;" "$1" - <<'END'
local ok, why = pcall(require('websockets').context, { cluster = 'redis://localhost' })
assert(not ok and why:find "option 'cluster' needs a build of websockets with hiredis", why)
END
}

portable_check() { "$2" "$1"; }

portable_calls() { each_passes portable_check "$1" -- calls_no_linux refuses_a_cluster; }

platform() { script/platform "$@"; }

# --- One test ---

if [[ $1 == --run ]]; then
  "${@:2}"
  exit
fi

name=$1
limit_s=$2
shift 2
log=build/test-logs/$name.log
mkdir -p "$(dirname "$log")"
if [[ -n ${SKIP_REMEMBERED-} && -e ${REMEMBERED-}/$name ]]; then
  cp "$REMEMBERED/$name" "build/test-logs/$name.count"
  echo "It has passed before: $log"
  exit
fi
rm -f "build/test-logs/$name.count"
status=0
timeout --kill-after=10 "$limit_s" bash "$0" --run "$@" </dev/null &>"$log" || status=$?

counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, [0-9]+ skipped)?$/\1 \2/p' "$log" | tail -n 1)
if [[ $status == 77 && -z $counts ]]; then
  tail -n 1 "$log"
  exit 0
fi
if [[ -z $counts ]] || grep -qx '0 passed, 0 failed' "$log"; then counts='0 1'; fi
[[ $status == 0 || ${counts#* } != 0 ]] || counts="${counts% *} 1"
echo "$counts" >"build/test-logs/$name.count"
if [[ ${counts#* } != 0 ]]; then
  case $status in
    124 | 137) status="$status (out of time)" ;;
    139) status="$status (segmentation fault)" ;;
  esac
  echo "--- $log, exit status $status"
  awk '!/ \.\.\. ok$/' "$log" | tail -n 100
fi
echo "${counts% *} passed, ${counts#* } failed"
[[ ${counts#* } == 0 ]]
[[ -z ${REMEMBERED-} ]] || install -D "build/test-logs/$name.count" "$REMEMBERED/$name"
