# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the scripts share. Sourcing it moves to the root of the repository.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
all_luas=(lua5.1 lua5.2 lua5.3 lua5.4 luajit)

# The interpreters and their modules are chosen by these scripts, not by what the caller's shell is set up for.
unset LUA_INIT LUA_PATH LUA_CPATH
for version in 5_2 5_3 5_4; do unset "LUA_INIT_$version" "LUA_PATH_$version" "LUA_CPATH_$version"; done

say() { printf '==> %s\n' "$*"; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# The comment at the top of a script is its help.
print_help() { sed -n '/^# Usage/,/^$/s/^# \{0,1\}//p' "script/$(basename "$0")"; }

is_lua() { [[ " ${all_luas[*]} " == *" $1 "* ]]; }
