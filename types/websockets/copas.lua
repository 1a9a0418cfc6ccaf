---@meta websockets.copas
-- SPDX-License-Identifier: MIT

---Serves contexts from Copas.
---@class websockets.copas
local copas = {}

---websockets.context(), served by that loop.
---@param config websockets.Config
---@return websockets.Context
function copas.context(config) end

return copas
