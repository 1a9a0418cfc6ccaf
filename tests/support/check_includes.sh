#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compares every #include of src/ with the table of which folder may use which. Prints what does not belong, and
# ends with the line `N passed, N failed`: one test for each folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

declare -A allowed=(
  [base]=''
  [websocket]='base'
  [http]='base'
  [net]='base'
  [loop]='net base'
  [files]='http base'
  [server]='files loop http net websocket base'
  [dial]='loop http net base'
  [client]='dial http websocket loop net base'
  [cluster]='dial server files loop http net websocket base'
  [lua]='cluster client dial server files loop http net websocket base'
)

passed=0 failed=0
for folder in src/*/; do
  from=$(basename "$folder")
  is_good=true
  if [ -z "${allowed[$from]+set}" ]; then
    echo "src/$from is in no place of the table"
    is_good=false
  fi
  while IFS=: read -r file _ line; do
    path=${line#*\"}
    path=${path%\"*}
    to=${path%%/*}
    case " $from ${allowed[$from]-} " in
      *" $to "*) continue ;;
    esac
    echo "$file: $line, but src/$from may not use src/$to"
    is_good=false
  done < <(grep -rn --include='*.h' --include='*.cpp' '^#include "' "$folder")
  if [ "$from" != lua ] && grep -rn --include='*.h' --include='*.cpp' '^#include [<"]lua' "$folder" | grep -v '"lua/'; then
    echo "src/$from may not use Lua"
    is_good=false
  fi
  if $is_good; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
