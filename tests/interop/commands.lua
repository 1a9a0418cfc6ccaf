-- SPDX-License-Identifier: MIT
-- The protocol `command` of the servers in this folder: a message says what the server does with its own connection.

local websockets = require 'websockets'

local commands = {}

function commands.close(ws, code, reason)
  ws:close(tonumber(code), reason)
end

function commands.terminate(ws)
  ws:terminate()
end

-- A message in as many fragments, numbered, a ping between them.
function commands.fragments(ws, count)
  count = tonumber(count)
  for i = 1, count do
    local kind = i == 1 and websockets.WRITE_TEXT or websockets.WRITE_CONTINUATION
    ws:write(i .. ' ', kind + (i < count and websockets.WRITE_NO_FIN or 0))
    if i < count then ws:write('between', websockets.WRITE_PING) end
  end
end

-- `more`: further commands, fn(ws, first word or nil, rest), by their names.
return function(more)
  for name, command in pairs(more) do commands[name] = command end
  return function(ws)
    ws:on_receive(function(_, data)
      local name, first, rest = data:match '^(%a+) ?(%S*) ?(.*)$'
      commands[name](ws, first ~= '' and first or nil, rest)
    end)
  end
end
