-- SPDX-License-Identifier: MIT
signals = true
return dofile(folder .. '/run.lua')
