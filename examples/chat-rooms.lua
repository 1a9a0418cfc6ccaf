-- SPDX-License-Identifier: MIT
-- A chat whose rooms are coroutines, as its guests are: a room waits for a guest who does something, a guest for what
-- the other end says. The address names the room: http://localhost:8080/?room=garden
-- Usage: lua chat-rooms.lua [port]
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080
local rooms = {} -- name -> function(guest, what, text), which has the coroutine go on

local function room(name)
  local guests, count, next_number = {}, 0, 1

  local function tell(...)
    for guest in pairs(guests) do
      guest:write(table.concat { ... })
    end
  end

  repeat
    local guest, what, text = coroutine.yield()
    if what == 'comes' then
      guests[guest] = 'Guest ' .. next_number
      count, next_number = count + 1, next_number + 1
      tell(guests[guest], ' comes to the ', name, ': ', count, ' here')
    elseif what == 'says' then
      tell(guests[guest], ': ', text)
    else
      local who = guests[guest]
      guests[guest] = nil
      count = count - 1
      tell(who, ' leaves')
    end
  until count == 0
  rooms[name] = nil
end

local function open(name)
  rooms[name] = coroutine.wrap(room)
  rooms[name](name) -- up to where it waits
  return rooms[name]
end

local context = websockets.context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    chat = websockets.handler(function(ws)
      local name = ws:request().query.room or 'lobby'
      local enter = rooms[name] or open(name)
      enter(ws, 'comes')
      local data, type = ws:receive()
      while type == websockets.WRITE_TEXT do
        enter(ws, 'says', data)
        data, type = ws:receive()
      end
      enter(ws, 'leaves')
    end),
  },
}

print(('Open http://localhost:%s/?room=garden in two windows of a browser, which is: Open http://localhost:%s/'):format(port, port))
io.stdout:flush()
os.exit((context:run()))
