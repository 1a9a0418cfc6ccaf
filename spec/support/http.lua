-- SPDX-License-Identifier: MIT
-- Requests that are not for a websocket, servers that answer them, and files to be served.

local assert = require 'luassert'
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'

local http = {}

local paths = {}

-- The bytes of a request. Options: method ('GET'), version ('HTTP/1.1'), headers (a list of lines), host (false:
-- leaves out the header), body (with its Content-Length) or chunks (a list, sent chunked).
function http.request(path, options)
  options = options or {}
  local lines = { ('%s %s %s'):format(options.method or 'GET', path, options.version or 'HTTP/1.1') }
  local body = options.body or ''
  if options.host ~= false then lines[#lines + 1] = 'Host: localhost' end
  for _, line in ipairs(options.headers or {}) do
    lines[#lines + 1] = line
  end
  if options.body then lines[#lines + 1] = 'Content-Length: ' .. #body end
  if options.chunks then
    lines[#lines + 1] = 'Transfer-Encoding: chunked'
    for _, chunk in ipairs(options.chunks) do
      body = body .. ('%x\r\n%s\r\n'):format(#chunk, chunk)
    end
    body = body .. '0\r\n\r\n'
  end
  return table.concat(lines, '\r\n') .. '\r\n\r\n' .. body
end

-- A response for ws:write(…, WRITE_HTTP).
function http.response(body, ...)
  local lines = { 'HTTP/1.1 200 OK', ... }
  lines[#lines + 1] = 'Content-Length: ' .. #body
  return table.concat(lines, '\r\n') .. '\r\n\r\n' .. body
end

-- A context with the protocol 'p' that answers by on_http (which may be nil), and its port.
function http.context(on_http, config)
  local copy = { protocols = { p = function() end } }
  for name, value in pairs(config or {}) do
    copy[name] = value
  end
  copy.on_http = on_http
  return loop.context(copy)
end

-- A context as above and a client of it, connected. Returns the client, the context and its port.
function http.open(on_http, config)
  local ctx, port = http.context(on_http, config)
  return client.connect(ctx, port), ctx, port
end

-- A server that answers later, and a client of it. The second result: the list of what waits for an answer.
function http.open_deferred(config)
  local waiting = {}
  local c, ctx, port = http.open(function(ws)
    ws:defer()
    waiting[#waiting + 1] = ws
  end, config)
  return c, waiting, ctx, port
end

-- Serves until so many requests have waited for an answer; returns the last of them.
function http.await(c, waiting, count)
  loop.serve_until(c.ctx, function() return #waiting >= (count or 1) end, 'a request')
  return waiting[count or 1]
end

-- What is called with a websocket raises that it is for on_http.
function http.expect_for_on_http_only(fn)
  local ctx, port = loop.context { protocols = { p = function(ws)
    local ok, message = pcall(fn, ws)
    ws:write(tostring(ok))
    ws:write(message)
  end } }
  local c = client.open(ctx, port, 'p')
  c:expect_text 'false'
  assert.is_truthy(c:expect_text():find('on_http', 1, true))
end

-- Sends bytes to the server, expects to be refused with this status and disconnected. Returns headers and body.
function http.expect_refusal(ctx, port, bytes, status)
  local c = client.connect(ctx, port)
  c:send(bytes)
  local actual, headers, body = c:read_response()
  assert.equal(status, actual, ('%s to %q'):format(body, bytes:sub(1, 200)))
  assert.equal(status == 426 and 'close, Upgrade' or 'close', headers.connection)
  assert.is_truthy(body:find '%w')
  c:expect_end()
  c:close()
  return headers, body
end

-- --- Files ---

-- The path of a new file with these contents; nil: of nothing. Removed by http.remove_files().
function http.file(contents)
  local path = os.tmpname()
  paths[#paths + 1] = path
  os.remove(path)
  if contents then http.overwrite(path, contents) end
  return path
end

function http.overwrite(path, contents)
  local file = assert(io.open(path, 'wb'))
  assert(file:write(contents))
  file:close()
end

function http.contents(path)
  local file = assert(io.open(path, 'rb'))
  local contents = file:read '*a'
  file:close()
  return contents
end

function http.remove_files()
  for _, path in ipairs(paths) do
    os.remove(path)
  end
  paths = {}
end

-- A string of so many bytes, in which no piece is in another's place unnoticed.
function http.pattern(size)
  local parts, count = {}, 0
  while count < size do
    parts[#parts + 1] = ('%015d\n'):format(count):rep(64)
    count = count + 1024
  end
  return table.concat(parts):sub(1, size)
end

-- --- A server of words ---

-- A server that serves a file whose content is the word behind the slash. The third result: what it was asked
-- for.
function http.word_server(config)
  local files, uris = {}, {}
  local ctx, port = http.context(function(ws, uri)
    uris[#uris + 1] = uri
    local word = uri:match '^/(%w+)'
    if not word then return end
    files[word] = files[word] or http.file(word)
    ws:serve_http_file(files[word], 'text/plain')
  end, config)
  return ctx, port, uris
end

function http.expect_word(c, word)
  local status, headers, body = c:read_response()
  assert.equal(200, status)
  assert.equal(word, body)
  return headers
end

-- A connection that goes on.
function http.expect_alive(c)
  c:send(http.request '/alive')
  http.expect_word(c, 'alive')
end

return http
