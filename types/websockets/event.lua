---@meta websockets.event
-- SPDX-License-Identifier: MIT

---Serves contexts from an event base of lua-event.
---@class websockets.event
local event = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@param base any what luaevent.core.new() returned
---@return websockets.Context
function event.context(config, base) end

---websockets.connect(), by that loop.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@param base any what luaevent.core.new() returned
---@return websockets.Websocket
function event.connect(url, options, base) end

return event
