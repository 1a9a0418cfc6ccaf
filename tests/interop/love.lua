-- SPDX-License-Identifier: MIT
-- What LÖVE does with a game, sixty times a second, but without a window: prints what is drawn, whenever that changes;
-- the pointer moves in each frame; quits once somebody else's is at 7, 9.
-- Usage: luajit love.lua main.lua URL
local socket = require 'socket'

local drawn

love = {
  graphics = {
    print = function(text) drawn[#drawn + 1] = text end,
    circle = function(_, x, y) drawn[#drawn + 1] = ('%d,%d'):format(x, y) end,
  },
}
dofile(arg[1])
love.load { arg[2] }

local before
local frame = 0
repeat
  frame = frame + 1
  love.mousemoved(frame, 100 + frame)
  love.update(1 / 60)
  drawn = {}
  love.draw()
  local all = table.concat(drawn, ' ')
  if all ~= before then
    print(all)
    io.stdout:flush()
  end
  before = all
  socket.sleep(1 / 60)
until all:find '7,9'
love.quit()
