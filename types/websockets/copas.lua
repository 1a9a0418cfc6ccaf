---@meta websockets.copas
-- SPDX-License-Identifier: MIT

---Serves contexts from Copas.
---@class websockets.copas
local copas = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@return websockets.Context
function copas.context(config) end

---websockets.connect(), by that loop.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@return websockets.Websocket
function copas.connect(url, options) end

return copas
