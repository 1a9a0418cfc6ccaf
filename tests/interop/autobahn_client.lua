-- SPDX-License-Identifier: MIT
-- Usage: lua autobahn_client.lua URL [COMPRESSION]
--
-- Our client for Autobahn's fuzzing server at URL: runs all of its cases, one after the other. COMPRESSION is the option
-- of that name, as Lua writes it. See docs/conformance.md.

local websockets = require 'websockets'

local url, agent = arg[1], 'lua-websockets'
local compression = (loadstring or load)('return ' .. (arg[2] or 'false'))() -- luacheck: ignore

-- Until the server closes. Without options nothing is sent back; returns the last message.
local function run(target, options)
  local last
  local ws = websockets.connect(url .. target, options)
  ws:on_receive(function(_, data, type)
    last = data
    if options then ws:write(data, type) end
  end)
  websockets.run()
  return last
end

local count = assert(tonumber(run '/getCaseCount'), 'there is no fuzzing server')
for case = 1, count do
  run(('/runCase?case=%d&agent=%s'):format(case, agent), { compression = compression })
end
run('/updateReports?agent=' .. agent)
print(count .. ' cases')
