-- SPDX-License-Identifier: MIT
-- Files, and the contents of requests.
local websockets = require 'websockets'

local context
local server = {}

function server.start()
  local files = websockets.static(folder)
  context = websockets.context {
    listen = { 'unix:' .. path },
    on_error = function() note 'error' end,
    on_http = function(ws, uri)
      note 'request'
      if uri == '/file' then return ws:serve_http_file(folder .. '/files.lua', 'text/plain') end
      if uri == '/body' then return ws:respond(200, nil, ws:request().body) end
      return files(ws, uri)
    end,
    protocols = { none = function() end },
  }
end

function server.step() context:service(0) end

function server.stop() context:destroy() end

return server
