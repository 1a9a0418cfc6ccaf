-- SPDX-License-Identifier: MIT
-- A chat: rooms, names, who is there, and what was said before. Its page is in examples/chat/.
-- Usage: lua chat.lua [port] [certificate] [its key]; with a certificate, as script/demo-certificate makes one, it is https.
--
-- A client names a room in the address, /?room=lobby, sends its name, and from then on what it has to say. It is told in
-- JSON who comes, says something and leaves: see the functions below.
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port, certificate, key = arg[1] or 8080, arg[2], arg[3]
local room_names = { 'lobby', 'lua', 'garden' }
local history_length = 100

local rooms = {}
for _, name in ipairs(room_names) do
  rooms[name] = { name = name, history = {}, members = {}, size = 0 } -- members: name -> how many websockets
end
local context

-- --- What clients are told ---

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(character)
    return ('\\u%04x'):format(character:byte())
  end) .. '"'
end

local function list(items)
  return '[' .. table.concat(items, ',') .. ']'
end

local function line(kind, name, text) -- kind: came, said or left
  return ('{"kind":"%s","at":%d,"name":%s,"text":%s}'):format(kind, os.time(), quote(name), quote(text or ''))
end

local function welcome(room)
  local names = {}
  for name in pairs(room.members) do
    names[#names + 1] = quote(name)
  end
  return ('{"kind":"welcome","room":%s,"here":%s,"history":%s}'):format(quote(room.name), list(names), list(room.history))
end

local function all_rooms()
  local items = {}
  for i, name in ipairs(room_names) do
    items[i] = ('{"name":%s,"size":%d}'):format(quote(name), rooms[name].size)
  end
  return ('{"kind":"rooms","rooms":%s}'):format(list(items))
end

-- --- What they do ---

-- The same name may be there several times: in two windows, or on a connection whose end is not known yet.
local function count(room, name, change, kind)
  local before = room.members[name] or 0
  local after = before + change
  room.members[name] = after > 0 and after or nil
  if before == 0 or after == 0 then
    room.size = room.size + change
    context:publish(room.name, line(kind, name))
    context:publish('all rooms', all_rooms())
  end
end

local function enter(ws, text)
  local name = text:match '^%s*(.-)%s*$'
  if name == '' or #name > 100 or name:find '%c' then
    return ws:close(websockets.CLOSE_POLICY_VIOLATION, 'A name has 1 to 100 bytes.')
  end
  count(ws.room, name, 1, 'came')
  ws.name = name
  ws:write(welcome(ws.room))
  ws:write(all_rooms())
  ws:subscribe(ws.room.name)
  ws:subscribe 'all rooms'
end

local function say(ws, text)
  if not text:find '%S' then
    return
  end
  local history = ws.room.history
  history[#history + 1] = line('said', ws.name, text)
  if #history > history_length then
    table.remove(history, 1)
  end
  context:publish(ws.room.name, history[#history])
end

context = websockets.context {
  port = port,
  ssl_cert_path = certificate,
  ssl_private_key_path = key,
  max_message_size = 2000,
  max_message_rate = { 2, 20 }, -- a second, and at once
  on_http = websockets.static(here .. 'chat'),
  protocols = {
    chat = function(ws)
      ws.room = rooms[ws:request().query.room] or rooms[room_names[1]]
      ws:on_receive(function(ws, data, type)
        if type ~= websockets.WRITE_TEXT then -- text is UTF-8, as JSON has to be; anything else need not be
          ws:close(websockets.CLOSE_UNSUPPORTED_DATA)
        elseif ws.name then
          say(ws, data)
        else
          enter(ws, data)
        end
      end)
      ws:on_closed(function(ws)
        if ws.name then
          count(ws.room, ws.name, -1, 'left')
        end
      end)
    end,
  },
}

print(('Open %s://localhost:%s/ in two windows of a browser'):format(certificate and 'https' or 'http', port))
io.stdout:flush()
os.exit((context:run()))
