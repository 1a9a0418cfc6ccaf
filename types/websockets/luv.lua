---@meta websockets.luv
-- SPDX-License-Identifier: MIT

---Serves contexts from luv's loop.
---@class websockets.luv
local luv = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@return websockets.Context
function luv.context(config) end

---websockets.connect(), by that loop.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@return websockets.Websocket
function luv.connect(url, options) end

return luv
