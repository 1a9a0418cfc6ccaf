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

return cqueues
