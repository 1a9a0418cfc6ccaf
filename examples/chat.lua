-- SPDX-License-Identifier: MIT
-- A chat with names and a history; its page is examples/chat/index.html.
-- Usage: lua chat.lua [port]
--
-- A client says first what it is called, then what it has to say. It is told lines: who, a tab, what; those without a
-- name are the server's.
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080
local history_length = 50

local history = {}
local context

local function say(name, text)
  local line = (name .. '\t' .. text):gsub('[\r\n]+', ' ')
  history[#history + 1] = line
  if #history > history_length then
    table.remove(history, 1)
  end
  context:publish('chat', line)
end

local function enter(ws, name)
  name = name:gsub('[%c]', ''):match '^%s*(.-)%s*$'
  if name == '' or #name > 40 then
    return ws:close(websockets.CLOSE_POLICY_VIOLATION, 'a name has 1 to 40 bytes')
  end
  ws.name = name
  for _, line in ipairs(history) do
    ws:write(line)
  end
  ws:subscribe 'chat'
  say('', name .. ' is here')
end

context = websockets.context {
  port = port,
  max_message_size = 2000,
  on_http = websockets.static(here .. 'chat'),
  protocols = {
    chat = function(ws)
      ws:on_receive(function(ws, data)
        if ws.name then
          say(ws.name, data)
        else
          enter(ws, data)
        end
      end)
      ws:on_closed(function(ws)
        if ws.name then
          say('', ws.name .. ' has left')
        end
      end)
    end,
  },
}

print(('Open http://localhost:%s/ in two windows of a browser'):format(port))
io.stdout:flush()
os.exit((context:run()))
