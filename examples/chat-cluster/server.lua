-- SPDX-License-Identifier: MIT
-- A chat on several machines, which Redis joins. Start it twice, on two ports: who is there, and what is said, is seen on
-- both; who loses the connection gets what was missed, from whichever of them.
-- Usage: lua chat-cluster/server.lua [port] [URL of Redis]
--
-- A client sends a name and, behind a line feed, the position of the last message that it has got, or nothing. After that
-- each of its messages is said to all.
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port, redis = arg[1] or 8080, arg[2] or 'redis://localhost'
local room = 'room/lobby'
local context

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(character) return ('\\u%04x'):format(character:byte()) end) .. '"'
end

local function enter(ws, name, position)
  ws.name = name
  ws:subscribe(room, {
    presence = name,
    since = position ~= '' and position or nil,
    on_ready = function(_, recovered, now)
      ws:write(('{"kind":"ready","recovered":%s,"position":%s}'):format(recovered, quote(now)))
    end,
  })
end

-- Each machine tells its own clients who is there, when that has changed.
local function tell_who_is_there()
  context:presence(room, function(names)
    for i, name in ipairs(names or {}) do names[i] = quote(name) end
    local text = ('{"kind":"here","names":[%s]}'):format(table.concat(names or {}, ','))
    for ws in context:websockets 'chat' do
      if ws.name and ws.told ~= text then ws:write(text) end
      ws.told = ws.name and text
    end
  end)
end

context = websockets.context {
  port = port,
  cluster = redis,
  history = {
    topics = { 'room/' },
    wrap = function(line, position) return ('{"kind":"said","position":%s,"line":%s}'):format(quote(position), line) end,
  },
  on_cluster = function(state)
    for ws in context:websockets 'chat' do ws:write(('{"kind":"redis","state":"%s"}'):format(state)) end
  end,
  max_message_size = 2000,
  max_message_rate = { 2, 20 },
  on_http = websockets.static(here .. 'page'),
  protocols = {
    chat = function(ws)
      ws:on_receive(function(_, data, type)
        if type ~= websockets.WRITE_TEXT then return ws:close(websockets.CLOSE_UNSUPPORTED_DATA) end
        if ws.name then
          local status = context:publish(room, ('{"name":%s,"text":%s}'):format(quote(ws.name), quote(data)))
          if status ~= 0 then ws:write '{"kind":"lost"}' end
          return
        end
        local name, position = data:match '^([^%c]+)\n(%C*)$'
        if not name or #name > 100 then return ws:close(websockets.CLOSE_POLICY_VIOLATION, 'A name has 1 to 100 bytes.') end
        enter(ws, name, position)
      end)
    end,
  },
}
context:every(1, tell_who_is_there)

print(('Open http://localhost:%s/ in several browsers, and start another one on another port'):format(port))
io.stdout:flush()
os.exit((context:run()))
