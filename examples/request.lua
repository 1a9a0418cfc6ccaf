-- SPDX-License-Identifier: MIT
-- Asks an echo server, as echo.lua is one, and waits for each answer, but not for ever. An answer that comes too late is
-- passed over, as each has the number of its question.
-- Usage: lua request.lua [URL [seconds]]
local websockets = require 'websockets'

local url, seconds = arg[1] or 'ws://localhost:8080/', tonumber(arg[2] or 2)
local last_number = 0

local function ask(ws, question)
  last_number = last_number + 1
  ws:write(('%d %s'):format(last_number, question))
  local number, answer
  repeat
    local data, why, code, reason, failure = ws:receive(seconds)
    if not data then
      return nil, failure and tostring(failure) or why
    end
    number, answer = data:match '^(%d+) (.*)'
  until tonumber(number) == last_number
  return answer
end

local ws = websockets.connect(url)
for _, question in ipairs { 'Who is there?', 'What is new?', 'Where to?' } do
  local answer, why = ask(ws, question)
  print(answer or 'No answer: ' .. why)
end
ws:close()
ws:wait_closed()
