-- SPDX-License-Identifier: MIT
-- A quiz in the chat of chat.lua: a script that is read from its beginning to its end, without callbacks.
-- Needs dkjson: Debian's lua-dkjson, or luarocks install dkjson.
-- Usage: lua quiz-bot.lua [URL [seconds for an answer]]
local json = require 'dkjson'
local websockets = require 'websockets'

local me = 'Quiz'
local url, seconds = arg[1] or 'ws://localhost:8080/', tonumber(arg[2] or 30)
local questions = {
  { 'Which language is a moon?', 'lua' },
  { 'What is 6 times 7?', '42' },
  { 'Which number does the protocol of this chat have among the RFCs?', '6455' },
}

local ws = websockets.connect(url, { protocols = { 'chat' } })

-- What somebody says before that time; else nil.
local function heard_until(deadline)
  repeat
    local data, why, code, reason, failure = ws:receive(math.max(0, deadline - os.time()))
    if not data and why ~= 'timeout' then
      print(failure or 'The chat has ended')
      os.exit(1)
    end
    local event = data and json.decode(data)
    if event and event.kind == 'said' and event.name ~= me then
      return event
    end
  until not data
end

local function ask(question, answer)
  ws:write(question)
  local deadline = os.time() + seconds
  repeat
    local said = heard_until(deadline)
    if said and said.text:lower():find(answer, 1, true) then
      return said.name
    end
  until not said
end

ws:write(me)
for _, question in ipairs(questions) do
  local winner = ask(question[1], question[2])
  ws:write(winner and ('%s knows it!'):format(winner) or ('It is %s.'):format(question[2]))
  print(question[1], winner or 'nobody')
end
ws:close()
ws:wait_closed()
