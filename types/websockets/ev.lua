---@meta websockets.ev
-- SPDX-License-Identifier: MIT

---Serves contexts from a loop of lua-ev.
---@class websockets.ev
local ev = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@param loop? any default: ev.Loop.default
---@return websockets.Context
function ev.context(config, loop) end

---websockets.connect(), by that loop.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@param loop? any default: ev.Loop.default
---@return websockets.Websocket
function ev.connect(url, options, loop) end

return ev
