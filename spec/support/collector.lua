-- SPDX-License-Identifier: MIT
-- The collector at its worst: whatever the module does not keep is gone the moment it makes something.
--
-- With SPEC_COLLECT=N, during the first N calls and returns of each test (of any function), everything is collected
-- before each function of the module, at each allocation within it, and before and after each callback. What comes then
-- has a full collection now and then. Lua 5.4 and 5.5 are incremental in one test and generational in the next.

local collector = {}

local limit = tonumber(os.getenv 'SPEC_COLLECT')
-- Between two full collections when the calls are used up.
local instructions = 100000

local is_54, is_55 = _VERSION == 'Lua 5.4', _VERSION == 'Lua 5.5'
local jit = rawget(_G, 'jit') and require 'jit'
local getinfo, sethook = debug.getinfo, debug.sethook

local functions -- those of the module: function -> true
local is_running, is_armed, is_generational = false, false, false
local left = 0

-- --- How eager the collector is ---

-- What Lua 5.4 has in place of a large 'setstepmul': the logarithm of the size of a step.
local usual_step, whole_step = 13, 30

local function set_parameters(pause, multiplier, step)
  if is_55 then
    collectgarbage 'incremental'
    collectgarbage('param', 'pause', pause)
    collectgarbage('param', 'stepmul', multiplier)
    return
  elseif is_54 then
    collectgarbage('incremental', 0, math.min(multiplier, 1000), step)
  else
    collectgarbage('setstepmul', multiplier)
  end
  collectgarbage('setpause', pause)
end

-- From now on there is a whole cycle at each thing that is made: with a pause of 0 one is always due, and one step is
-- all of it. `once`: only at the next thing.
function collector.be_eager(once) set_parameters(once and 200 or 0, is_55 and 0 or 200000000, whole_step) end

function collector.be_usual() set_parameters(200, is_54 and 100 or 200, usual_step) end

local function set_mode()
  if is_armed then
    collector.be_eager()
  else
    collector.be_usual()
    if is_generational then collectgarbage 'generational' end
  end
  collectgarbage()
end

local function arm(armed)
  if is_armed == armed then return end
  is_armed = armed
  set_mode()
end

-- --- When ---

local function add_functions(value, seen)
  if type(value) == 'function' then
    if getinfo(value, 'S').what == 'C' and value ~= print then functions[value] = true end
  elseif type(value) == 'table' and not seen[value] then
    seen[value] = true
    for _, field in pairs(value) do
      add_functions(field, seen)
    end
  end
end

local function find_functions()
  functions = {}
  local seen = {}
  add_functions(require 'websockets', seen)
  for name, metatable in pairs(debug.getregistry()) do
    if type(name) == 'string' and name:find('^websockets%.') then add_functions(metatable, seen) end
  end
end

local function is_of_module(level)
  local info = getinfo(level + 1, 'f')
  return info ~= nil and functions[info.func] == true
end

local install -- sets the hook of this coroutine

local function on_call(event)
  if not is_running then return sethook() end
  left = left - 1
  if left <= 0 then
    arm(false)
    return install()
  end
  if event == 'return' then
    -- From a callback, which a function of the module has called, or a C function of it in between.
    arm(is_of_module(3) or is_of_module(4))
  else
    arm(is_of_module(2))
  end
end

local function on_count()
  if is_running then collectgarbage() else sethook() end
end

function install()
  if left > 0 then
    if jit then jit.off() end -- compiled code calls no hooks
    sethook(on_call, 'cr')
  elseif jit then
    sethook()
    jit.on()
  else
    sethook(on_count, '', instructions)
  end
end

-- But for LuaJIT's, hooks are of one coroutine.
local function hook_coroutines()
  for _, name in ipairs { 'create', 'wrap' } do
    local make = coroutine[name]
    coroutine[name] = function(fn, ...)
      if type(fn) ~= 'function' or not is_running then return make(fn, ...) end
      return make(function(...)
        if is_running then install() end
        return fn(...)
      end)
    end
  end
end

if limit then
  find_functions()
  hook_coroutines()
  sethook(on_count, '', 1) -- Lua has an entry for hooks in the registry from the first one on
  sethook()
end

-- --- For leaks.lua ---

-- A test begins.
function collector.begin()
  if not limit then return end
  is_running, is_armed, is_generational = true, false, (is_54 or is_55) and not is_generational
  left = limit
  set_mode()
  install()
end

-- A test has ended.
function collector.finish()
  if not is_running then return end
  is_running = false
  sethook()
  if jit then jit.on() end
  collector.be_usual()
end

return collector
