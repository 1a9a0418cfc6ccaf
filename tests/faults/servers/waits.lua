-- SPDX-License-Identifier: MIT
-- Nothing happens.
local websockets = require 'websockets'

local context
local server = {}

function server.start()
  context = websockets.context { listen = { 'unix:' .. path }, protocols = { none = function() end } }
end

function server.step() context:service(10) end

function server.stop() context:destroy() end

return server
