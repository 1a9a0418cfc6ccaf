-- SPDX-License-Identifier: MIT
-- The server of scenario_test.cpp, which gives `path` and calls the functions; note(event) tells it what happens.
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

function server.start()
  context = websockets.context {
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
end

function server.step()
  while #upgrades > 0 do
    table.remove(upgrades):accept()
  end
  while #requests > 0 do
    table.remove(requests):respond(200, { ['X-Name'] = 'value' }, ('body'):rep(2000))
  end
  context:service(0)
end

function server.stop() context:destroy() end

return server
