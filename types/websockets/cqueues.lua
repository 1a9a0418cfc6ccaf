---@meta websockets.cqueues
-- SPDX-License-Identifier: MIT

---Serves contexts from a controller of cqueues.
---@class websockets.cqueues
local cqueues = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@param queue? any a controller; default: the one that is running
---@return websockets.Context
function cqueues.context(config, queue) end

---websockets.connect(), by that loop.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@param queue? any a controller; default: the one that is running
---@return websockets.Websocket
function cqueues.connect(url, options, queue) end

return cqueues
