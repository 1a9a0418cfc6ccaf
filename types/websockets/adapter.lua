---@meta websockets.adapter
-- SPDX-License-Identifier: MIT

---What the adapters for other loops have in common.
---@class websockets.adapter
local adapter = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@param watch fun(fd: integer, serve: fun(revents?: websockets.Revents)): fun() calls serve() when fd is readable; returns what ends that
---@param options? { each_fd?: boolean } each_fd: every descriptor is watched, not one for all
---@return websockets.Context
function adapter.context(config, watch, options) end

---websockets.connect(), by that loop.
---@param url string|fun(ws: websockets.Websocket): string
---@param options? websockets.ConnectOptions
---@param watch fun(fd: integer, serve: fun()): fun() calls serve() when fd is readable; returns what ends that
---@param key? any names the loop; default: watch
---@return websockets.Websocket
function adapter.connect(url, options, watch, key) end

return adapter
