-- SPDX-License-Identifier: MIT
-- Usage: lua soak.lua FOLDER
--
-- The server of bench/soak: several contexts in one process, one for TCP and the unix socket FOLDER/socket, one for TLS
-- with FOLDER/server.pem and .key, and one more of each kind that waits for a request for a short time only. The files of
-- FOLDER/files are served, too. It prints a line of JSON when it can be connected to, then one each second, and one at
-- the end: what has been counted, by the contexts and by the callbacks here. The clients count the same by the same
-- names. GET /end ends it.

local websockets = require 'websockets'

local folder = arg[1]
local counts = {} -- 'echo.opened' → how often
local files = websockets.static(folder .. '/files')
local is_ending = false

local function count(name, more)
  counts[name] = (counts[name] or 0) + (more or 1)
end

local function fail(message)
  count 'errors'
  io.stderr:write(message, '\n')
end

-- A table, whose values are numbers and such tables, as JSON.
local function json(value)
  if type(value) == 'number' then return ('%.14g'):format(value) end
  local members = {}
  for name, member in pairs(value) do members[#members + 1] = ('"%s": %s'):format(name, json(member)) end
  return '{' .. table.concat(members, ', ') .. '}'
end

-- What a number stands for as content that is published: its digits, some of them again and again.
local function content(name, number)
  return ('%s %d %s'):format(name, number, tostring(number):rep(number % 200))
end

-- Of each protocol: what its websockets do. The state is that of a context.
local protocols = {}

function protocols.echo(ws, state, name)
  ws:on_receive(function(ws, data, type)
    count(name .. '.received')
    local code = data:match '^close (%d+)$'
    if code then return ws:close(tonumber(code), 'as you like') end
    local status, why = ws:write(data, type)
    if status == 0 then
      count(name .. '.sent')
    elseif name == 'echo' or why ~= 'closed' then
      fail(name .. ': ' .. why)
    end
  end)
end

protocols.rude = protocols.echo -- of clients that leave before everything has come back
protocols.vanish = protocols.echo -- perhaps even before they are open

local function answer(ws, text)
  local status, why = ws:write(text)
  if status == 0 then count 'answers' elseif why ~= 'closed' then fail('answer: ' .. why) end
end

-- Commands: 'subscribe TOPIC', 'unsubscribe TOPIC', 'publish TOPIC'. The answers say the number of the last message.
function protocols.topics(ws, state)
  ws:on_receive(function(ws, data)
    count 'topics.received'
    local command, topic = data:match '^(%l+) (%S+)$'
    local number = state.numbers[topic] or 0
    if command == 'publish' then
      number = number + 1
      state.numbers[topic] = number
      local status, receivers = state.context:publish(topic, content(topic, number), number % 2)
      if status ~= 0 then fail 'not published' end
      count 'published'
      count('deliveries', receivers)
    elseif command == 'subscribe' then
      ws:subscribe(topic)
      ws.subscribed_at = number
    elseif command == 'unsubscribe' then
      if not ws:unsubscribe(topic) then fail 'was not subscribed' end
      count('received_in_full', number - ws.subscribed_at)
    end
    answer(ws, ('%s %s %d'):format(command, topic, number))
  end)
end

-- Those that are lost already, but whose turn to be closed has not come yet, get nothing.
local function count_open(websockets_of_all)
  local open = 0
  for ws in pairs(websockets_of_all) do
    if tostring(ws):find 'open' then open = open + 1 end
  end
  return open
end

-- 'mark' asks for the number of the last message, 'broadcast' sends the next one to all.
function protocols.broadcast(ws, state)
  ws:on_broadcast(websockets.WRITE_BINARY)
  answer(ws, 'mark ' .. state.broadcasts)
  ws.began_at = state.broadcasts
  ws:on_receive(function(ws, data)
    count 'broadcast.received'
    if data == 'mark' then
      count('received_in_full', state.broadcasts - ws.began_at)
      return answer(ws, 'mark ' .. state.broadcasts)
    end
    state.broadcasts = state.broadcasts + 1
    count 'broadcasts'
    count('deliveries', count_open(state.open.broadcast))
    state.context:broadcast('broadcast', content('broadcast', state.broadcasts))
  end)
end

-- Each websocket has a timer that is cancelled before its time, and has to be closed exactly once.
local function protocol(name, state)
  state.open[name] = {}
  return function(ws)
    count(name .. '.opened')
    state.open[name][ws] = true
    ws.timer = state.context:after(3600, function() fail 'a timer of an hour' end)
    if ws:request().path == '/subscribed' then
      for number = 1, 4 do ws:subscribe('nobody publishes here ' .. number) end
    end
    ws:on_closed(function(ws, code)
      if ws.is_closed then return fail 'closed twice' end
      ws.is_closed = true
      if not ws.timer:cancel() then fail 'a timer had ended' end
      state.open[name][ws] = nil
      count(name .. '.closed')
      count('closed.' .. code)
    end)
    protocols[name](ws, state, name)
  end
end

local function on_upgrade(request, state)
  if request.path == '/refused' then return 403, nil, 'Not you.' end
  if request.path ~= '/deferred' and request.path ~= '/refused-later' then return true end
  state.context:after(request.path == '/deferred' and 0 or 0.002, function()
    if request.path == '/deferred' then request:accept() else request:reject(429) end
  end)
  return request:defer()
end

local function on_http(ws, uri, state)
  if uri:find '^/static/' then
    if not files(ws, uri:match '^/static(.*)') then fail 'a file was not served' end
  elseif uri == '/echo' then
    ws:respond(200, { ['Content-Type'] = 'application/octet-stream' }, ws:request().body)
  elseif uri == '/deferred' then
    ws:defer()
    state.context:after(0.003, function()
      local status, why = ws:respond(200, nil, 'later')
      count(status == 0 and 'deferred.answered' or 'deferred.' .. why)
    end)
  elseif uri == '/metrics' then
    ws:respond(200, { ['Content-Type'] = 'text/plain; version=0.0.4' }, state.context:metrics())
  elseif uri == '/end' then
    ws:respond(200)
    is_ending = true
  end -- anything else: 404
end

local function serve(options)
  local state = { numbers = {}, broadcasts = 0, open = {} }
  options.listen = options.listen or { '127.0.0.1:0' }
  options.protocols = {}
  for name in pairs(protocols) do options.protocols[name] = protocol(name, state) end
  options.on_upgrade = function(request) return on_upgrade(request, state) end
  options.on_http = function(ws, uri) on_http(ws, uri, state) end
  options.on_error = fail
  options.handshake_timeout = options.handshake_timeout or 600 -- however slow the machine is
  options.ping_interval = 0
  options.compression = { level = 6, min_size = 1, context_takeover = true }
  state.context = websockets.context(options)
  state.context:every(0.05, function()
    for ws in pairs(state.open.topics) do ws:write('are you there?', websockets.WRITE_PING) end
  end)
  return state.context
end

local certificate, key = folder .. '/server.pem', folder .. '/server.key'
local contexts = {
  port = serve { listen = { '127.0.0.1:0', 'unix:' .. folder .. '/socket' } },
  tls_port = serve { ssl_cert_path = certificate, ssl_private_key_path = key },
  impatient_port = serve { handshake_timeout = 2 },
  impatient_tls_port = serve { handshake_timeout = 2, ssl_cert_path = certificate, ssl_private_key_path = key },
}

-- fn(context) of each, by the names of their ports.
local function each_context(fn)
  local results = {}
  for name, context in pairs(contexts) do results[name] = fn(context) end
  return results
end

local function tell(what)
  what.counts = counts
  what.lua_kb = collectgarbage 'count'
  print(json(what))
  io.stdout:flush()
end

contexts.port:every(1, function()
  tell { contexts = each_context(function(context) return context:stats() end) }
end)
tell { ports = each_context(function(context) return tonumber(context:addresses()[1]:match '%d+$') end) }

-- These have little to do.
local seldom = contexts.port:every(0.02, function()
  contexts.impatient_port:service()
  contexts.impatient_tls_port:service()
end)

while not is_ending do
  contexts.port:service(1)
  contexts.tls_port:service()
  count 'rounds'
end

seldom:cancel()
each_context(function(context)
  context:shutdown(5)
end)
each_context(function(context)
  while not tostring(context):find 'destroyed' do context:service(100) end
end)
collectgarbage()
collectgarbage()
tell { ended = 1 }
