-- SPDX-License-Identifier: MIT
-- Usage: lua remote_main.lua PORT
--
-- The other end of spec/support/remote.lua: connects to the port, runs the programs that come from there, and returns
-- what they return. The contexts in the global list `contexts` are served meanwhile. Ends with the connection.
local socket = require 'socket'

local values = require 'spec.support.values'

contexts = {}

local control = assert(socket.connect('127.0.0.1', assert(tonumber(arg[1]))))
control:setoption('tcp-nodelay', true)

local function run(program)
  local load_text = loadstring or load -- luacheck: ignore
  local fn, why = load_text(program)
  if not fn then return false, why end
  return pcall(fn)
end

while true do
  local ready = socket.select({ control }, nil, contexts[1] and 0.001 or nil)
  if ready[1] then
    local size = control:receive '*l'
    if not size then break end
    local answer = values.pack(run(control:receive(tonumber(size))))
    control:send(('%d\n%s'):format(#answer, answer))
  end
  for _, context in ipairs(contexts) do
    if not tostring(context):find('destroyed', 1, true) then context:service(0) end
  end
end
