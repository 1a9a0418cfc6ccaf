#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Usage: bash install.sh cmake | debian | luarocks LUA...    (LUA: lua5.1, lua5.2, lua5.3, lua5.4 or lua5.5)
#
# Installs into an empty tree, by cmake --install or as a Debian package (of what script/build has built), or by luarocks
# for each LUA, and lets a client talk to examples/echo.lua with nothing but that tree. LuaJIT has what Lua 5.1 has.

set -euo pipefail
cd "$(dirname "$0")/../.."

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 143' TERM INT
passed=0
failed=0

# Counts a check: a function and its arguments.
count() {
  local status=0
  (set -e; "$@") >"$tree/log" 2>&1 || status=$?
  if ((status == 0)); then
    echo "${*//$tree\//} ... ok"
    passed=$((passed + 1))
  else
    echo "${*//$tree\//} ... FAILED"
    cat "$tree/log"
    failed=$((failed + 1))
  fi
}

# What has to succeed for any check to make sense.
run() {
  local status=0
  "$@" >"$tree/log" 2>&1 || status=$?
  ((status == 0)) || { cat "$tree/log"; exit "$status"; }
}

# An interpreter that finds modules in one folder only: the interpreter, the folder.
echoes() {
  LUA_CPATH="$2/?.so" /usr/bin/python3 tests/interop/echo_once.py "$1" examples/echo.lua
}

# The configuration ends with a message: the message, options.
refuses() {
  local text=$1
  shift
  rm -rf "$tree/refused"
  ! cmake -S . -B "$tree/refused" -G Ninja "$@" >"$tree/refused.log" 2>&1 || return 1
  tr -s '\n ' ' ' <"$tree/refused.log" | grep -F -- "$text" || { cat "$tree/refused.log"; return 1; }
}

# A folder where one Lua was asked for is the preset's again afterwards.
preset_forgets_one_lua() {
  cmake -S . -B "$tree/shared" -G Ninja -DWEBSOCKETS_LUAS=lua5.4 -DPORTABLE=ON
  cmake --preset release -B "$tree/shared"
  ninja -C "$tree/shared" -n websockets_lua5.1 websockets_luajit
  ! grep WEBSOCKETS_PORTABLE "$tree/shared/compile_commands.json" || return 1
}

each_lua() {
  local lua
  for lua in lua5.1 lua5.2 lua5.3 lua5.4 lua5.5; do
    [[ $lua == lua5.5 && ! -e build/lua5.5 ]] || count echoes "$lua" "$1/lua/${lua#lua}"
  done
  count echoes luajit "$1/lua/5.1"
}

has_files() {
  local file
  for file in "$@"; do [[ -s $file ]] || { echo "$file is missing"; return 1; }; done
}

# What is there at run time: the system's libraries, OpenSSL's, zlib's, hiredis, C++'s, and no others.
links_no_others() {
  local others
  others=$(objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | grep -vE '^(lib(c|m|ssl|crypto|z|hiredis|stdc\+\+|gcc_s)|ld-linux.*)\.so' || true)
  [[ -z $others ]] || { echo "needs $others"; return 1; }
}

# Those of the documents of a folder to its other files.
links_lead_somewhere() {
  local file target status=0
  while IFS=: read -r file target; do
    [[ -e ${file%/*}/$target ]] || { echo "$file: $target"; status=1; }
  done < <(grep -rHoP --include='*.md' '\]\(\K(?!https?:)[^)#]*[./][^)#]*' "$1")
  [[ -s $1/README.md ]] && return "$status"
}

# Of a folder, which was of somebody else before: only his file is left.
is_left_alone() {
  local left
  left=$(cd "$1" && find . -type f -o -name '*lua-websockets*')
  [[ $left == ./share/lua/somebody.lua ]] || { echo "left: $left"; return 1; }
}

# Without DESTDIR, as it is easily forgotten, nothing is there, and what was installed is known afterwards, too. What
# somebody else has removed is not named.
uninstalls_by_cmake() {
  ! cmake --build build --target uninstall >"$tree/forgotten.log" 2>&1 || return 1
  tr -s '\n ' ' ' <"$tree/forgotten.log" | grep -F 'set DESTDIR as at the installation'
  ! grep Removing "$tree/forgotten.log" || return 1
  rm "$tree/somewhere/share/doc/lua-websockets/CHANGELOG.md"
  DESTDIR=$tree cmake --build build --target uninstall >"$tree/uninstalled.log"
  grep 'Removing .*/README.md' "$tree/uninstalled.log"
  ! grep 'Removing .*/CHANGELOG.md' "$tree/uninstalled.log" || return 1
  is_left_alone "$tree/somewhere"
  ! DESTDIR=$tree cmake --build build --target uninstall >"$tree/again.log" 2>&1 || return 1
  grep 'Nothing was installed from here' "$tree/again.log"
}

install_by_cmake() {
  mkdir -p "$tree/somewhere/share/lua"
  echo 'return 1' >"$tree/somewhere/share/lua/somebody.lua"
  DESTDIR=$tree run cmake --install build --prefix /somewhere
  each_lua "$tree/somewhere/lib"
  count links_no_others "$tree/somewhere/lib/lua/5.4/websockets.so"
  count has_files "$tree"/somewhere/share/{lua-websockets/types/websockets.lua,doc/lua-websockets/README.md}
  count links_lead_somewhere "$tree/somewhere/share/doc/lua-websockets"
  count uninstalls_by_cmake
  count refuses 'OpenSSL 3 with its headers is needed' -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON
  count refuses 'zlib 1.2.9 or later with its headers is needed' -DCMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON
  count refuses 'The headers of Boost 1.74 or later are needed' -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON
  count refuses 'No headers of Lua found' -DWEBSOCKETS_LUAS=lua9
  count refuses 'WEBSOCKETS_LUAS takes lua5.1, lua5.2' -DWEBSOCKETS_LUAS=5.4
  count preset_forgets_one_lua
  count refuses "There is no $tree/lua.h" "-DWEBSOCKETS_LUA_INCLUDE_DIR=$tree"
}

package_depends() {
  local depends
  depends=$(dpkg-deb -f "$1" Depends)
  [[ $depends == *libc6* && $depends == *libssl3* && $depends == *zlib1g* && $depends == *libstdc++6* && $depends != *boost* ]] ||
    { echo "$depends"; return 1; }
}

# By dpkg itself, in a tree with a database of its own, where nothing is that the package depends on.
removes_package() {
  local root=$tree/root
  mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/usr/share/lua"
  touch "$root/var/lib/dpkg/status"
  echo 'return 1' >"$root/usr/share/lua/somebody.lua"
  dpkg --root="$root" --log=/dev/null --force-depends --force-not-root -i "$1"
  has_files "$root/usr/share/lua-websockets/types/websockets.lua"
  dpkg --root="$root" --log=/dev/null --force-not-root --remove lua-websockets
  is_left_alone "$root/usr"
}

install_package() {
  local package
  run cpack --config build/CPackConfig.cmake -B "$tree/packages"
  package=$(echo "$tree"/packages/*.deb)
  run dpkg-deb -x "$package" "$tree/installed"
  count package_depends "$package"
  each_lua "$tree/installed/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)"
  count has_files "$tree"/installed/usr/share/{lua-websockets/types/websockets.lua,doc/lua-websockets/copyright}
  count links_lead_somewhere "$tree/installed/usr/share/doc/lua-websockets"
  count removes_package "$package"
}

# luarocks in the copy of the sources: the name of a tree, then what to do there.
rocks() {
  local name=$1 interpreter
  shift
  interpreter=$(command -v "lua$version")
  (cd "$tree/source" && HOME=$tree CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) \
    luarocks --lua-version "$version" --lua-dir "${interpreter%/bin/*}" --tree "$tree/$name" "$@")
}

# The tagged one says the same of another version.
rockspecs_agree() {
  diff <(sed -e 's/scm-1/1.0.0-1/' rockspecs/lua-websockets-scm-1.rockspec) rockspecs/lua-websockets-1.0.0-1.rockspec
}

# luarocks itself says so, before it starts to build.
rock_names_what_is_missing() {
  ! rocks none make "$rockspec" BOOST_INCDIR=/nonexistent >"$tree/missing.log" 2>&1 || return 1
  grep 'Could not find header file for BOOST' "$tree/missing.log"
}

# The pure-Lua library has the same name: as luarocks sees it, another version.
rock_gives_way() {
  mkdir -p "$tree/source/other"
  echo 'return {}' >"$tree/source/other/websocket.lua"
  cat >"$tree/source/other/lua-websockets-2.2-1.rockspec" <<'END'
package = 'lua-websockets'
version = '2.2-1'
source = { url = '.' }
build = { type = 'builtin', modules = { websocket = 'other/websocket.lua' } }
END
  rocks "$1" make other/lua-websockets-2.2-1.rockspec
  [[ ! -e $tree/$1/lib/lua/$version/websockets.so && -s $tree/$1/share/lua/$version/websocket.lua ]]
}

removes_rock() {
  rocks "$1" remove lua-websockets
  ! find "$tree/$1" -name 'websockets*' | grep .
}

# From the copy of the sources into one tree, packed there, and from that into another tree.
install_rock() {
  local version=${1#lua} installed=installed/$1
  run rocks "made/$1" make "$rockspec"
  run rocks "made/$1" pack lua-websockets
  run rocks "$installed" install "$(echo "$tree"/source/*.rock)"
  rm "$tree"/source/*.rock
  count echoes "$1" "$tree/$installed/lib/lua/$version"
  [[ $version != 5.1 ]] || count echoes luajit "$tree/$installed/lib/lua/5.1"
  count links_no_others "$tree/$installed/lib/lua/$version/websockets.so"
  count rock_names_what_is_missing "$version"
  count removes_rock "$installed"
  count rock_gives_way "made/$1"
}

# One after the other from the same folder, where luarocks finds the engine compiled after the first.
install_rocks() {
  local lua rockspec=rockspecs/lua-websockets-scm-1.rockspec
  mkdir "$tree/source"
  git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -cT - | tar -x -C "$tree/source"
  for lua in "$@"; do install_rock "$lua"; done
  count rockspecs_agree
}

case ${1-} in
  cmake) install_by_cmake ;;
  debian) install_package ;;
  luarocks) install_rocks "${@:2}" ;;
  *) sed -n 's/^# Usage: //p' "$0" && exit 1 ;;
esac
echo "$passed passed, $failed failed"
exit $((failed > 0))
