-- SPDX-License-Identifier: MIT
extra = { compression = { min_size = 1, memory = '4KB', context_takeover = true } }
return dofile(folder .. '/messages.lua')
