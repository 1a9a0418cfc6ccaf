-- SPDX-License-Identifier: MIT
-- That nothing is left behind by a test. Each spec has, in its outermost describe:
--
--   require('spec.support.leaks').check_each(before_each, after_each)
--
-- After each test the contexts are destroyed and the clients closed. Then there must be no descriptor, no
-- userdata of the module, and no entry in the registry that was not there before, and no error may have been
-- raised in a callback. So a test keeps contexts and websockets in its own local variables only.

local assert = require 'luassert'
local client = require 'spec.support.client'
local collector = require 'spec.support.collector'
local lfs = require 'lfs'
local loop = require 'spec.support.loop'
local socket = require 'socket'

local leaks = {}

local registry_before
local descriptors_before -- of the first test, or since one left something behind

-- What a thread keeps for all of its contexts is made with the first one.
require('websockets').context({ protocols = { p = function() end } }):destroy()

-- Lua 5.3 enters the type of its string buffers in the registry when the first large one is made.
local _ = ('x'):rep(1e5)

-- The flags of a descriptor as in fcntl.h, nil when it is not open. Opening this opens none of the same number.
local function descriptor_flags(fd)
  local file = io.open('/proc/self/fdinfo/' .. fd)
  if not file then return nil end
  -- A thread may have closed it meanwhile.
  local flags = (file:read('*a') or ''):match 'flags:%s*([0-7]+)'
  file:close()
  return flags and tonumber(flags, 8)
end

-- The open descriptors: number -> flags.
function leaks.descriptors()
  local numbers, open = {}, {}
  for name in lfs.dir '/proc/self/fd' do
    numbers[#numbers + 1] = tonumber(name)
  end
  for _, fd in ipairs(numbers) do -- the one of the list itself is closed now
    open[fd] = descriptor_flags(fd)
  end
  return open
end

function leaks.count_descriptors()
  local count = 0
  for _ in pairs(leaks.descriptors()) do
    count = count + 1
  end
  return count
end

-- The memory of this process.
function leaks.resident_kb()
  local page_kb = 4
  local file = assert(io.open '/proc/self/statm')
  local pages = file:read '*l':match '^%d+ (%d+)'
  file:close()
  return tonumber(pages) * page_kb
end

local function names_of(descriptors)
  local names = {}
  for fd in pairs(descriptors) do
    names[#names + 1] = fd
  end
  table.sort(names)
  return table.concat(names, ' ')
end

-- Overwrites what calls before have left on the stack, which the collector may see as alive.
local function wipe_stack(...)
  if select('#', ...) < 200 then return wipe_stack(nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, ...) end
end

-- Collects all garbage, also what LuaJIT's compiled code refers to.
function leaks.collect()
  wipe_stack()
  if rawget(_G, 'jit') then require('jit').flush() end
  for _ = 1, 4 do
    collectgarbage()
  end
end

local function registry_size()
  local size = 0
  for _, value in pairs(debug.getregistry()) do
    if value and type(value) ~= 'number' then size = size + 1 end -- else a place for a reference that is free
  end
  return size
end

local function remember()
  leaks.collect()
  registry_before = registry_size()
  descriptors_before = descriptors_before or names_of(leaks.descriptors())
  collector.begin()
end

-- The thread that looks up names of peers may have one for a moment.
local function settled_descriptors()
  local deadline = socket.gettime() + 5 * loop.time_factor
  local names
  repeat
    names = names_of(leaks.descriptors())
    if names == descriptors_before then break end
    socket.select(nil, nil, 0.001)
  until socket.gettime() > deadline
  return names
end

local function check()
  collector.finish()
  client.close_all()
  loop.destroy_all()
  wipe_stack()
  leaks.collect()
  assert.same({}, loop.take_errors(), 'errors in callbacks')
  assert.equal(0, loop.count_objects(), 'contexts and websockets that were not collected')
  local expected, descriptors = descriptors_before, settled_descriptors()
  descriptors_before = descriptors
  assert.equal(expected, descriptors, 'open descriptors')
  assert.equal(registry_before, registry_size(), 'size of the registry')
end

function leaks.check_each(before_each, after_each)
  before_each(remember)
  after_each(check)
end

return leaks
