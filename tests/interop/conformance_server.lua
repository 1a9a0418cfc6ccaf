-- SPDX-License-Identifier: MIT
-- Usage: lua conformance_server.lua FOLDER [OPTION=VALUE]...
--
-- The server that conformance.py and http_h11.py examine, with these options of websockets.context(), whose values are
-- expressions of Lua. asks=true: on_upgrade accepts with the headers that the expression in the header X-Accept stands
-- for, and refuses by what that in X-Reject does; an answer that cannot be given is one of 409 that says why. Picks a
-- free port on 127.0.0.1, prints it, and serves until it is killed. What it serves:
--   echo      (also without a subprotocol) each message goes back as it came
--   named     calls itself as the first message says, then echoes; the observers are told 'NAME CODE REASON' of its end
--   observer  is told that
--   command   does to its own connection what a message says, see `commands`
-- over HTTP: the file of that name in FOLDER at /file/NAME, '/raw' answers by hand, '/fail' fails, '/echo' repeats the
-- method, the target, the host and the content, '/respond' answers by what the expression that is its content stands
-- for, or by 409 and why it cannot.

local websockets = require 'websockets'

local context
local error_count = 0

local function evaluate(expression)
  return assert((loadstring or load)('return ' .. expression))()
end

local function echo(ws)
  ws:on_receive(function(_, data, kind)
    ws:write(data, kind)
  end)
end

local function named(ws)
  ws:on_receive(function(_, name)
    ws:on_closed(function(_, code, reason)
      context:broadcast('observer', ('%s %d %s'):format(name, code, reason))
    end)
    ws:write(name)
    echo(ws)
  end)
end

local commands = {}

function commands.close(ws, code, reason)
  local is_done, why = pcall(ws.close, ws, tonumber(code), reason ~= '' and reason or nil)
  if not is_done then ws:write(why) end
end

-- A message and then its own Close frame, in one go.
function commands.farewell(ws, code)
  ws:write 'farewell'
  ws:close(tonumber(code))
end

function commands.ping(ws, data)
  ws:write(data or '', websockets.WRITE_PING)
end

function commands.pong(ws, data)
  ws:write(data or '', websockets.WRITE_PONG)
end

-- A message in so many fragments of a byte, with a ping behind each but the last.
function commands.fragments(ws, count)
  count = tonumber(count)
  for i = 1, count do
    local kind = i == 1 and websockets.WRITE_BINARY or websockets.WRITE_CONTINUATION
    ws:write(string.char(i % 256), kind + (i < count and websockets.WRITE_NO_FIN or 0))
    if i < count then ws:write('between', websockets.WRITE_PING) end
  end
end

-- How many errors on_error was told of since the last time.
function commands.errors(ws)
  ws:write(error_count)
  error_count = 0
end

local function on_http(ws, uri)
  local name = uri:match '^/file/(%w+)$'
  if name then
    ws:serve_http_file(arg[1] .. '/' .. name, 'application/octet-stream')
  elseif uri == '/raw' then
    ws:write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbytes', websockets.WRITE_HTTP)
  elseif uri == '/fail' then
    error 'as told'
  elseif uri:find '/echo' then
    local request = ws:request()
    local text = ('%s %s %s %s'):format(request.method, request.uri, tostring(request.host), request.body)
    ws:respond(200, { ['X-Seen'] = request.headers['x-seen'] }, text)
  elseif uri == '/respond' then
    local is_done, why = pcall(function() ws:respond(evaluate(ws:request().body)) end)
    if not is_done then ws:respond(409, nil, why) end
  end
end

local function on_upgrade(request)
  local headers = request.headers
  local is_done, why = pcall(function()
    if headers['x-reject'] then return request:reject(evaluate(headers['x-reject'])) end
    request:accept(evaluate(headers['x-accept'] or 'nil'))
  end)
  if not is_done then request:reject(409, nil, why) end
end

local config = {
  listen = { '127.0.0.1:0' },
  default_protocol = 'echo',
  on_error = function() error_count = error_count + 1 end,
  on_http = on_http,
  protocols = {
    echo = echo,
    named = named,
    observer = function() end,
    command = function(ws)
      ws:on_receive(function(_, data)
        local name, first, rest = data:match '^(%a+) ?(%S*) ?(.*)$'
        commands[name](ws, first ~= '' and first or nil, rest)
      end)
    end,
  },
}

for i = 2, #arg do
  local name, value = arg[i]:match '^([%w_]+)=(.+)$'
  if name == 'asks' then
    config.on_upgrade = on_upgrade
  else
    config[name] = evaluate(value)
  end
end

context = websockets.context(config)
print(context:addresses()[1]:match '%d+$')
io.stdout:flush()

while true do
  context:service(-1)
end
