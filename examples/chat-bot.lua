-- SPDX-License-Identifier: MIT
-- A robot in the chat of chat.lua: greets who comes, and answers !time, !roll 20 and !who.
-- Needs dkjson: Debian's lua-dkjson, or luarocks install dkjson.
-- Usage: lua chat-bot.lua [URL], which may name a room: ws://localhost:8080/?room=garden
local json = require 'dkjson'
local websockets = require 'websockets'

local me = 'Robot'
local here -- name -> true

local commands = {}

function commands.time()
  return os.date '%H:%M'
end

function commands.roll(sides)
  return ('%d'):format(math.random(math.max(1, math.min(tonumber(sides) or 6, 1000))))
end

function commands.who()
  local names = {}
  for name in pairs(here) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ', ')
end

local events = {} -- what the chat tells

function events.welcome(_, event)
  here = {}
  for _, name in ipairs(event.here) do
    here[name] = true
  end
  print('In the ' .. event.room)
end

function events.came(ws, event)
  here[event.name] = true
  ws:write(('Hello, %s!'):format(event.name))
end

function events.left(_, event)
  here[event.name] = nil
end

function events.said(ws, event)
  local command, argument = event.text:match '^!(%a+)%s*(.*)$'
  local answer = event.name ~= me and commands[command or '']
  if answer then
    ws:write(answer(argument))
  end
end

local ws = websockets.connect(arg[1] or 'ws://localhost:8080/', { protocols = { 'chat' }, reconnect = true })

ws:on_open(function(ws)
  ws:write(me)
end)

ws:on_receive(function(ws, data)
  local event = json.decode(data)
  local handler = events[event.kind]
  if handler then
    handler(ws, event)
  end
end)

ws:on_retry(function(ws, seconds, failure)
  print(('%s; again in %.1f s'):format(tostring(failure), seconds))
end)

ws:on_closed(function(ws, code, reason, failure)
  print(failure or 'Closed')
end)

os.exit((websockets.run()))
