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

return ev
