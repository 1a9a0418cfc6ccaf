-- SPDX-License-Identifier: MIT
-- The server of messages.lua, or of the file `base`, which serves itself until it is stopped: with `signals` by two
-- signals, before anybody has answered.
local server = dofile(folder .. '/' .. (base or 'messages') .. '.lua')
local step = server.step
local is_running, is_over, is_stopped
local ticks = 0

-- First all that the clients want, then the end.
local function tick()
  if not is_running then return end
  ticks = ticks + 1
  serve_clients(not signals or ticks > 40)
  if signals then
    if ticks == 10 or ticks == 20 then terminate() end
  elseif ticks >= 10 and not is_stopped then
    server.context():stop()
    is_stopped = true
  end
end

local function run()
  local context = server.context()
  context:after(3600, error):cancel()
  context:every(1e-6, tick)
  context:after(0, function()
    note 'after'
    context:after(0, function() note 'after' end)
  end)
  local status, why = context:run(60)
  if status == nil then
    note 'error'
    status, why = context:run(60)
  end
  note(why)
  if status ~= 0 then note 'cut short' end
end

function server.run()
  is_running = true
  local succeeds, why = pcall(run)
  is_running = false
  is_over = tostring(server.context()):find 'destroyed'
  if not succeeds then error(why, 0) end
end

function server.step()
  if not is_over then step() end
end

return server
