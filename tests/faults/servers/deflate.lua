-- SPDX-License-Identifier: MIT
extra = { compression = { min_size = 1, memory = '4KB' } }
return dofile(folder .. '/messages.lua')
