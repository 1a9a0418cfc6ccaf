-- SPDX-License-Identifier: MIT
-- A chat on all processors: four workers serve it on one port, and the first of them remembers what was said.
-- Usage: lua chat-workers.lua [port] [workers]
--
-- Workers share no variables, but what is published reaches the websockets of all of them. So the first one is a client
-- of this server itself: it hears what is said, and answers who asks for what was said before.
local websockets = require 'websockets'

local here = arg[0]:match '^(.*/)' or ''
local port, workers = arg[1] or 8080, arg[2] or 4
local history_length = 100
local secret = assert(io.open '/dev/urandom'):read(16):gsub('.', function(byte) return ('%02x'):format(byte:byte()) end)

local context
local guests = 0

-- --- In every worker ---

local function chat(ws)
  guests = guests + 1
  local asker = ('for %d.%d'):format(context:worker(), guests)
  ws:subscribe(asker)
  context:publish('to history', 'ask ' .. asker)
  ws:subscribe 'room'
  ws:on_receive(function(_, text)
    context:publish('room', text)
    context:publish('to history', 'say ' .. text)
  end)
end

-- The other end of the connection of the one that remembers.
local function history(ws)
  if ws:request().headers['X-Secret'] ~= secret then return ws:close(websockets.CLOSE_POLICY_VIOLATION) end
  ws:subscribe 'to history'
  ws:on_receive(function(_, answer)
    local asker, text = answer:match '^([^\n]*)\n(.*)$'
    context:publish(asker, text)
  end)
end

-- --- In the first one ---

local function remember()
  local said = {}
  local ws = websockets.connect(('ws://localhost:%s/'):format(port),
    { protocols = { 'history' }, headers = { ['X-Secret'] = secret }, reconnect = true })
  ws:on_receive(function(_, order)
    local what, text = order:match '^(%a+) (.*)$'
    if what == 'say' then
      table.insert(said, text)
      if #said > history_length then table.remove(said, 1) end
    elseif #said > 0 then
      ws:write(text .. '\n' .. table.concat(said, '\n'))
    end
  end)
end

context = websockets.context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = { chat = chat, history = history },
  default_protocol = 'chat',
}

print(('Open http://localhost:%s/ in several browsers, which %s workers serve'):format(port, workers))
io.stdout:flush()
os.exit((context:run {
  workers = workers,
  on_worker = function(id)
    if id == 1 then remember() end
  end,
  on_worker_exit = function(id, why)
    if why ~= 'exit 0' then io.stderr:write(('Worker %d has ended: %s\n'):format(id, why)) end
  end,
}))
