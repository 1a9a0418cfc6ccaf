-- SPDX-License-Identifier: MIT
-- Others take it, with the options in `extra`, and with a serve() of theirs.
local websockets = require 'websockets'

local context
local server = {}
local upgrades, requests = {}, {} -- to be answered in the next step

local function on_receive(ws, data, type)
  note 'message'
  if data == 'publish' then return context:publish('news', 'published') end
  if data == 'broadcast' then return ws:broadcast 'broadcast' end
  if data == 'close' then return ws:close(1000, 'bye') end
  ws:write(data, type)
end

local options = {
  listen = { 'unix:' .. path },
  on_error = function() note 'error' end,
  on_http = function(ws)
    note 'request'
    ws:defer()
    requests[#requests + 1] = ws
  end,
  on_upgrade = function(request)
    if request.query.later == nil then return true, { ['Set-Cookie'] = 'name=value' } end
    upgrades[#upgrades + 1] = request
    return request:defer()
  end,
  protocols = {
    echo = function(ws)
      note 'open'
      ws:on_closed(function() note 'closed' end)
      ws:subscribe 'news'
      ws:on_receive(on_receive)
    end,
  },
}
for name, value in pairs(extra or {}) do
  options[name] = value
end

function server.start()
  context = websockets.context(options)
  if options.listen[1]:find '^127' then note('port', tonumber(context:addresses()[1]:match ':(%d+)$')) end
end

function server.context() return context end

function server.serve() context:service(0) end

-- Once more if it could not be done.
local function answer_all(list, answer)
  for i = #list, 1, -1 do
    answer(list[i])
    list[i] = nil
  end
end

function server.step()
  answer_all(upgrades, function(request) request:accept() end)
  answer_all(requests, function(ws) ws:respond(200, { ['X-Name'] = 'value' }, ('body'):rep(2000)) end)
  server.serve(context)
end

function server.stop() context:destroy() end

return server
