#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The HTTP side of our server, seen by curl and by bash's own sockets. The interpreter is in the environment variable
# LUA, the module is found by LUA_CPATH.

set -euo pipefail
cd "$(dirname "$0")"

deadline_s=$((60 * $(printf '%.0f' "${TIME_FACTOR:-1}")))
folder=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 143' TERM INT
passed=0
failed=0

start_server() {
  head -c 20000000 /dev/urandom >"$folder/file"
  head -c 500000 "$folder/file" >"$folder/sent" # less than the megabyte that a body may have
  mkdir "$folder/sub"
  echo index >"$folder/sub/index.html"
  seq 20000 >"$folder/text.txt"
  gzip --keep "$folder/text.txt"
  mkfifo "$folder/port"
  "${LUA:-lua5.4}" echo_server.lua "$folder/file" >"$folder/port" &
  server=$!
  read -r port <"$folder/port" || {
    echo 'The echo server does not start'
    exit 1
  }
  url=http://127.0.0.1:$port
}

# --- What the checks use ----------------------------------------------------------------------------------------------

# curl with a log of its own; what it receives goes to $folder/body, what it tells to $folder/log.
fetch() {
  curl --silent --show-error --verbose --noproxy '*' --max-time "$deadline_s" --output "$folder/body" "$@" \
    2>"$folder/log"
}

logged() { grep -qiE -- "$1" "$folder/log"; }
count_logged() { grep -ciE -- "$1" "$folder/log" || true; }
same() { cmp "$1" "$2"; }
equal() { [[ $1 == "$2" ]] || { echo "'$1' is not '$2'"; return 1; }; }

# Sends what is on stdin on a connection of its own, and prints all that comes back until the server closes.
talk() {
  # shellcheck disable=SC2016
  timeout "$deadline_s" bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && cat >&3 && cat <&3' bash "$port"
}

# --- Checks -----------------------------------------------------------------------------------------------------------

check_get() {
  fetch "$url/small" && same "$folder/body" echo_server.lua && logged '^< HTTP/1\.1 200 OK' &&
    logged '^< content-type: text/plain' && logged "^< content-length: $(wc -c <echo_server.lua)" && logged '^< date: '
}

check_head() {
  fetch --head "$url/file" && logged '^< HTTP/1\.1 200' && logged '^< content-length: 20000000'
}

check_query() {
  fetch "$url/missing?a=b&c=%20" && logged '^< HTTP/1\.1 404' && [[ -s $folder/body ]]
}

check_keep_alive() {
  fetch "$url/small" --next --head "$url/small" --next --output /dev/null "$url/missing" --next \
    --output "$folder/last" "$url/small" && equal "$(count_logged 're-using existing connection')" 3 &&
    equal "$(count_logged '^\* connected to')" 1 && same "$folder/last" echo_server.lua
}

check_connection_close() {
  fetch --header 'Connection: close' "$url/small" && logged '^< connection: close' && logged 'closing connection'
}

check_methods() {
  local method
  for method in POST PUT PATCH DELETE OPTIONS TRACE WHATEVER; do
    fetch --request "$method" "$url/small" && logged '^< HTTP/1\.1 405' && logged '^< allow: GET, HEAD' || return
    fetch --request "$method" "$url/any" && logged '^< HTTP/1\.1 200' && equal "$(<"$folder/body")" any || return
  done
}

check_big_file() {
  fetch "$url/file" && same "$folder/body" "$folder/file"
}

# Slower than the server, and by more than what the system buffers.
check_slow_reader() {
  fetch --limit-rate 15M "$url/file" && equal "$(sha256sum <"$folder/body")" "$(sha256sum <"$folder/file")"
}

check_many_downloads() {
  local number pids=()
  for number in {1..8}; do
    curl --silent --noproxy '*' --max-time "$deadline_s" --output "$folder/body$number" "$url/file" &
    pids+=($!)
  done
  wait "${pids[@]}"
  for number in {1..8}; do same "$folder/body$number" "$folder/file" || return; done
}

check_parallel_requests() {
  fetch --parallel --parallel-max 20 "$url/small?[1-100]" &&
    equal "$(count_logged '^< HTTP/1\.1 404')" 100
}

# Whether or not curl waits for leave to send a body, it is taken, and the connection goes on.
check_expect_continue() {
  fetch --header 'Expect: 100-continue' --data-binary "@$folder/sent" "$url/small" --next \
    --output "$folder/last" "$url/small" && logged '^< HTTP/1\.1 100 Continue' && logged '^< HTTP/1\.1 405' &&
    logged 're-using existing connection' && same "$folder/last" echo_server.lua
}

check_body_without_expect() {
  fetch --header 'Expect:' --data-binary "@$folder/sent" "$url/missing" --next --output "$folder/last" "$url/small" &&
    equal "$(count_logged '^< HTTP/1\.1 100')" 0 && logged '^< HTTP/1\.1 404' &&
    logged 're-using existing connection' && same "$folder/last" echo_server.lua
}

check_chunked_body() {
  fetch --header 'Transfer-Encoding: chunked' --data-binary "@$folder/sent" "$url/missing" --next \
    --output "$folder/last" "$url/small" && logged '^< HTTP/1\.1 404' && logged 're-using existing connection' &&
    same "$folder/last" echo_server.lua
}

check_body_too_large() {
  fetch --data-binary "@$folder/file" "$url/small" && logged '^< HTTP/1\.1 413'
}

check_headers_too_large() {
  fetch --header "X-Long: $(printf 'x%.0s' {1..20000})" "$url/small" && logged '^< HTTP/1\.1 431'
}

check_http_1_0() {
  fetch --http1.0 "$url/small" && same "$folder/body" echo_server.lua && logged '^< HTTP/1\.[01] 200' &&
    logged 'closing connection'
}

check_http_1_0_keep_alive() {
  fetch --http1.0 --header 'Connection: keep-alive' "$url/small" --next --http1.0 --output "$folder/last" \
    "$url/small" && logged '^< connection: keep-alive' && logged 're-using existing connection' &&
    same "$folder/last" echo_server.lua
}

# Three requests in one segment: three answers, in their order, then the end.
check_pipelining() {
  printf '%s\r\n' 'GET /small HTTP/1.1' 'Host: localhost' '' 'HEAD /file HTTP/1.1' 'Host: localhost' '' \
    'GET /missing HTTP/1.1' 'Host: localhost' 'Connection: close' '' | talk >"$folder/answers"
  equal "$(grep -a '^HTTP/' "$folder/answers" | tr -d '\r' | cut -d ' ' -f 2 | xargs)" '200 200 404' &&
    equal "$(grep -c "^-- Usage: lua echo_server.lua" "$folder/answers")" 1
}

check_pipelined_files() {
  local number
  for number in {1..3}; do printf '%s\r\n' 'GET /file HTTP/1.1' 'Host: localhost' ''; done >"$folder/requests"
  printf '%s\r\n' 'GET /small HTTP/1.1' 'Host: localhost' 'Connection: close' '' >>"$folder/requests"
  talk <"$folder/requests" >"$folder/answers"
  for number in {1..3}; do
    sed '/^\r$/q' "$folder/answers" | grep -q '^HTTP/1.1 200' || return
    tail -c "+$(($(sed '/^\r$/q' "$folder/answers" | wc -c) + 1))" "$folder/answers" >"$folder/rest"
    cmp -n 20000000 "$folder/rest" "$folder/file" || return
    tail -c +20000001 "$folder/rest" >"$folder/answers"
  done
  sed '1,/^\r$/d' "$folder/answers" | same - echo_server.lua
}

check_malformed_requests() {
  local request
  for request in 'GET' 'GET / HTTP/9.9' 'GET / HTTP/1.1\r\nHost : localhost' 'GET / HTTP/1.1' '\0\1\2\3' \
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2'; do
    # shellcheck disable=SC2059
    printf "$request\r\n\r\n" | talk >"$folder/answers" || return
    grep -qaE '^HTTP/1\.1 (400|505) ' "$folder/answers" || {
      echo "$request: $(head -1 "$folder/answers")"
      return 1
    }
  done
}

# --- A folder of files ---

check_site() {
  fetch "$url/site/text.txt" && same "$folder/body" "$folder/text.txt" && logged '^< content-type: text/plain' &&
    logged '^< accept-ranges: bytes' || return
  fetch --head "$url/site/file" && logged '^< content-length: 20000000' || return
  fetch "$url/site/missing" && logged '^< HTTP/1\.1 404' || return
  fetch --request POST "$url/site/file" && logged '^< HTTP/1\.1 405' && logged '^< allow: GET, HEAD'
}

check_site_folder() {
  fetch --location "$url/site/sub?a=b" && logged '^< HTTP/1\.1 301' && logged '^> GET /site/sub/\?a=b ' &&
    same "$folder/body" "$folder/sub/index.html"
}

check_site_compressed() {
  fetch --compressed "$url/site/text.txt" && logged '^< content-encoding: gzip' &&
    logged "^< content-length: $(wc -c <"$folder/text.txt.gz")" && same "$folder/body" "$folder/text.txt" || return
  fetch --header 'Accept-Encoding: gzip;q=0' "$url/site/text.txt" && equal "$(count_logged '^< content-encoding')" 0 &&
    same "$folder/body" "$folder/text.txt"
}

check_site_range() {
  fetch --range 1000-1999 "$url/site/file" && logged '^< HTTP/1\.1 206' &&
    logged '^< content-range: bytes 1000-1999/20000000' &&
    same "$folder/body" <(tail -c +1001 "$folder/file" | head -c 1000) || return
  fetch --range -1000 "$url/site/file" && same "$folder/body" <(tail -c 1000 "$folder/file") || return
  fetch --range 20000000- "$url/site/file" && logged '^< HTTP/1\.1 416'
}

check_site_ranges() {
  fetch --range 0-13,100-113 "$url/site/text.txt" && logged '^< content-type: multipart/byteranges; boundary=' &&
    equal "$(grep -ac '^Content-Range: bytes' "$folder/body")" 2 &&
    equal "$(tr -d '\r' <"$folder/body" | grep -a '^[0-9]' | xargs)" \
      "$( (head -c 14; echo; tail -c +87 | head -c 14) <"$folder/text.txt" | xargs)"
}

check_site_resume() {
  head -c 7654321 "$folder/file" >"$folder/body"
  fetch --continue-at - "$url/site/file" && logged '^> range: bytes=7654321-' && logged '^< HTTP/1\.1 206' &&
    same "$folder/body" "$folder/file"
}

check_site_conditions() {
  fetch --etag-save "$folder/etag" "$url/site/text.txt" && logged '^< HTTP/1\.1 200' || return
  fetch --etag-compare "$folder/etag" "$url/site/text.txt" && logged '^< HTTP/1\.1 304' || return
  fetch --time-cond "$folder/text.txt" "$url/site/text.txt" && logged '^< HTTP/1\.1 304' || return
  fetch --time-cond '2000-01-01' "$url/site/text.txt" && logged '^< HTTP/1\.1 200' || return
  fetch --header 'If-Match: "other"' "$url/site/text.txt" && logged '^< HTTP/1\.1 412' || return
  touch "$folder/text.txt"
  fetch --etag-compare "$folder/etag" "$url/site/text.txt" && logged '^< HTTP/1\.1 200'
}

check_site_ways_out() {
  local path
  for path in '../../etc/passwd' '%2e%2e/%2e%2e/etc/passwd' '..%2f..%2fetc%2fpasswd' '/etc/passwd' 'sub/../file' \
    '....//etc/passwd' '..\..\etc\passwd' 'file%00'; do
    fetch --path-as-is "$url/site/$path" && logged '^< HTTP/1\.1 40[04]' || return
  done
}

check_sent_body() {
  fetch --header 'Expect:' --data-binary "@$folder/sent" "$url/sent" && same "$folder/body" "$folder/sent" || return
  fetch --header 'Transfer-Encoding: chunked' --data-binary "@$folder/sent" "$url/sent" &&
    same "$folder/body" "$folder/sent" || return
  fetch --data-urlencode 'name=a&b' "$url/sent" && equal "$(<"$folder/body")" 'name=a%26b'
}

# --- Websockets ---

handshake=(--http1.1 --header 'Connection: Upgrade' --header 'Upgrade: websocket' --header 'Sec-WebSocket-Version: 13'
  --header 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' --header 'Expect:')

# The frames are sent as if they were the body of the request: 'hello' and a Close frame with 1000, masked with zeros.
check_websocket() {
  printf '\x81\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8' >"$folder/frames"
  printf '\x81\x05hello\x88\x02\x03\xe8' >"$folder/expected"
  fetch "${handshake[@]}" --header 'Sec-WebSocket-Protocol: unknown, echo' --request GET --header 'Content-Length:' \
    --header 'Content-Type:' --data-binary "@$folder/frames" "$url/" && logged '^< HTTP/1\.1 101 ' &&
    logged '^< sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=' && logged '^< sec-websocket-protocol: echo' &&
    same "$folder/body" "$folder/expected"
}

check_refused_websockets() {
  fetch "${handshake[@]}" --header 'Sec-WebSocket-Protocol: unknown' "$url/" && logged '^< HTTP/1\.1 400' || return
  fetch "${handshake[@]}" --header 'Sec-WebSocket-Version: 8' "$url/" && logged '^< HTTP/1\.1 4(00|26)' || return
  fetch "${handshake[@]}" --request POST "$url/" && logged '^< HTTP/1\.1 405' && logged '^< allow: GET' || return
  fetch "${handshake[@]:0:7}" "$url/" && logged '^< HTTP/1\.1 400'
}

start_server
for check in $(compgen -A function check_); do
  label=${check#check_}
  if reason=$("$check" 2>&1); then
    echo "${label//_/ } ... ok"
    passed=$((passed + 1))
  else
    printf '%s ... FAILED\n%s\n' "${label//_/ }" "$reason"
    tail -n 30 "$folder/log"
    failed=$((failed + 1))
  fi
done
kill -0 "$server" 2>/dev/null || {
  echo 'The server ended'
  failed=$((failed + 1))
}
echo "$passed passed, $failed failed"
exit $((failed > 0))
