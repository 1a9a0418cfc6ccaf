# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the scripts share. Sourcing it moves to the root of the repository.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
all_luas=(lua5.1 lua5.2 lua5.3 lua5.4 lua5.5 luajit)
PATH=$PWD/build/luas/bin:$PATH # what script/lua5.5 has built

# The interpreters and their modules are chosen by these scripts, not by what the caller's shell is set up for.
unset LUA_INIT LUA_PATH LUA_CPATH
for version in 5_2 5_3 5_4 5_5; do unset "LUA_INIT_$version" "LUA_PATH_$version" "LUA_CPATH_$version"; done

say() { printf '==> %s\n' "$*"; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Where apt has this release of Debian from; the archive of all its releases.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016 # apt-get replaces them
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$codename //p" | head -n 1
}

# The comment at the top of a script is its help.
print_help() { sed -n '/^# Usage/,/^$/s/^# \{0,1\}//p' "script/$(basename "$0")"; }

# Where there is no network, script/setup goes on without Lua 5.5.
luas_to_test() {
  local lua
  for lua in "${all_luas[@]}"; do
    [[ $lua == lua5.5 ]] && ! command -v lua5.5 >/dev/null || echo "$lua"
  done
}

is_lua() { [[ " ${all_luas[*]} " == *" $1 "* ]]; }
