-- SPDX-License-Identifier: MIT
-- A server and its client in the library's own loop, in Copas, or in cqueues: only its first lines know which.
-- Usage: lua loop-any.lua [port [own, copas or cqueues]]
local websockets = require 'websockets'
local name = arg[2] or 'own'
local new_context, begin, run
if name == 'copas' then
  local copas = require 'copas'
  new_context = require('websockets.copas').context
  begin = function(context, fn) copas.addthread(fn) end
  run = function(context) copas.loop(1) end -- it looks for Ctrl-C once a second
elseif name == 'cqueues' then
  local queue = require('cqueues').new()
  new_context = function(config) return require('websockets.cqueues').context(config, queue) end
  begin = function(context, fn) queue:wrap(fn) end
  run = function(context) assert(queue:loop()) end
else
  new_context = websockets.context
  begin = function(context, fn) context:spawn(fn) end
  run = function(context) context:run() end
end

-- From here on it is all the same.
local here = arg[0]:match '^(.*/)' or ''
local port = arg[1] or 8080

local context = new_context {
  port = port,
  on_http = websockets.static(here .. 'page'),
  protocols = {
    clock = function(ws)
      begin(ws:context(), function()
        while ws:state() == 'open' do
          ws:write(os.date '%X')
          websockets.sleep(1)
        end
      end)
    end,
  },
}

begin(context, function()
  local ws = context:connect(('ws://localhost:%s/'):format(port))
  local time, why = ws:receive(10)
  print(('A client was told %s. Open http://localhost:%s/ in a browser'):format(time or why, port))
  io.stdout:flush()
  ws:close()
  ws:wait_closed()
end)

local ok, why = pcall(run, context)
if not ok and not tostring(why):find 'interrupted!' then
  error(why, 0)
end
