-- SPDX-License-Identifier: MIT
base = 'outer_loop'
return dofile(folder .. '/run.lua')
