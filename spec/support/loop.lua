-- SPDX-License-Identifier: MIT
-- Contexts for the specs, and the one place that serves them. SPEC_LOOP chooses how: own (context:service, the
-- default), per-fd (every descriptor of on_add_fd is watched for reading only), one-fd (context:pollfd), or one of the
-- files in loops/: somebody else's event loop, by its adapter.
--
-- Contexts are made by context() only. They are destroyed after each test: see leaks.lua.

local socket = require 'socket'
local websockets = require 'websockets'

local loop = {}

loop.time_factor = tonumber(os.getenv 'TIME_FACTOR' or 1)

local deadline_s = 20 * loop.time_factor
local attempts = 200
-- Below the ports that the system gives to clients.
local first_port, port_count = 10240, 22000

local states = setmetatable({}, { __mode = 'k' }) -- context -> what its loop mode keeps
local objects = setmetatable({}, { __mode = 'k' }) -- every userdata of the module that is alive
local stepping = false -- somebody else's loop
local errors = {} -- what reached the on_error that context() gives by default

local function process_id()
  local file = assert(io.open '/proc/self/stat')
  local id = tonumber(file:read('*l'):match '^%d+')
  file:close()
  return id
end

-- Files run beside each other: each begins at another place.
local next_port = (process_id() * 7919) % port_count

function loop.free_port()
  for _ = 1, attempts do
    next_port = (next_port + 1) % port_count
    local port = first_port + next_port
    local probe = assert(socket.tcp4())
    local is_free = probe:bind('0.0.0.0', port)
    probe:close()
    if is_free then return port end
  end
  error 'no free port'
end

-- --- Modes ---

-- What is to be called with a descriptor, as socket.select wants it.
local function selectable(fd)
  return { getfd = function() return fd end }
end

local function watch_descriptors(config, state)
  local on_add_fd, on_del_fd = config.on_add_fd, config.on_del_fd
  state.watched = {}
  config.on_add_fd = function(fd)
    assert(not state.watched[fd], 'on_add_fd twice')
    state.watched[fd] = selectable(fd)
    if on_add_fd then on_add_fd(fd) end
  end
  config.on_del_fd = function(fd)
    assert(state.watched[fd], 'on_del_fd without on_add_fd')
    state.watched[fd] = nil
    if on_del_fd then on_del_fd(fd) end
  end
end

local function step_per_fd(ctx, timeout_ms, state)
  local list = {}
  for _, object in pairs(state.watched) do
    list[#list + 1] = object
  end
  local ready = socket.select(list, nil, timeout_ms < 0 and -1 or timeout_ms / 1000)
  for _, object in ipairs(ready) do
    local fd = object.getfd()
    if state.watched[fd] == object and not loop.is_destroyed(ctx) then
      ctx:service_fd(fd, websockets.POLLIN)
    end
  end
end

local function step_one_fd(ctx, timeout_ms)
  local ready = socket.select({ selectable(ctx:pollfd()) }, nil, timeout_ms < 0 and -1 or timeout_ms / 1000)
  if ready[1] then ctx:service(0) end
end

local function step_own(ctx, timeout_ms) ctx:service(timeout_ms) end

-- Most of these loops cannot be run from within a callback of theirs.
local function step_other(ctx, timeout_ms)
  if stepping then return ctx:service(timeout_ms) end
  stepping = true
  local ok, message = pcall(loop.other.step, timeout_ms)
  stepping = false
  if not ok then error(message, 0) end
end

local steps = { own = step_own, ['per-fd'] = step_per_fd, ['one-fd'] = step_one_fd }
local step

-- Chooses the mode for the contexts that are made from now on. loop.other is the file in loops/, if it is one.
function loop.use(mode)
  loop.mode = mode
  loop.other = not steps[mode] and require('spec.support.loops.' .. mode) or nil
  step = steps[mode] or step_other
end

loop.use(os.getenv 'SPEC_LOOP' or 'own')

-- --- Contexts ---

-- Remembers the websocket or request that a callback is given.
local function remembering(callback)
  if type(callback) ~= 'function' then return callback end
  return function(ws, ...)
    objects[ws] = true
    return callback(ws, ...)
  end
end

local function copy_of(config)
  local copy = {}
  for name, value in pairs(config) do
    copy[name] = value
  end
  return copy
end

local function prepare(config)
  local copy = copy_of(config)
  if type(config.protocols) == 'table' then
    copy.protocols = {}
    for name, callback in pairs(config.protocols) do
      copy.protocols[name] = remembering(callback)
    end
  end
  copy.on_http = remembering(config.on_http)
  copy.on_upgrade = remembering(config.on_upgrade)
  if config.on_error == nil then
    copy.on_error = function(message) errors[#errors + 1] = message end
  elseif config.on_error == false then
    copy.on_error = nil
  end
  -- A slow machine sees one otherwise; false: the default.
  copy.ping_interval = config.ping_interval == nil and 0 or config.ping_interval or nil
  return copy
end

local function create(config)
  local state = {}
  config = copy_of(config)
  if loop.mode == 'per-fd' then watch_descriptors(config, state) end
  local ctx = (loop.other or websockets).context(config)
  states[ctx] = state
  objects[ctx] = true
  return ctx
end

-- websockets.context(config). A port that is nil becomes a free one; 0 is passed on. Errors in callbacks fail
-- the test unless on_error is given, or is false for the default of the module. Returns the context and its
-- port.
function loop.context(config)
  local prepared = prepare(config)
  if prepared.port ~= nil then return create(prepared), prepared.port end
  for _ = 1, attempts do
    prepared.port = loop.free_port()
    local ok, result = pcall(create, prepared)
    if ok then return result, prepared.port end
    if not tostring(result):lower():find('in use', 1, true) then error(result, 0) end
  end
  error 'no free port'
end

function loop.is_destroyed(ctx)
  return tostring(ctx):find('destroyed', 1, true) ~= nil
end

-- Serves once. A destroyed context is passed over, so that what it sent last can be read.
function loop.step(ctx, timeout_ms)
  timeout_ms = timeout_ms or 0
  if loop.is_destroyed(ctx) then
    if timeout_ms > 0 then socket.select(nil, nil, timeout_ms / 1000) end
  else
    step(ctx, timeout_ms, assert(states[ctx], 'not made by loop.context'))
  end
end

local function step_all(ctx, timeout_ms)
  if type(ctx) ~= 'table' then return loop.step(ctx, timeout_ms) end
  if #ctx == 0 then socket.select(nil, nil, timeout_ms / 1000) end
  for _, one in ipairs(ctx) do
    loop.step(one, timeout_ms / #ctx)
  end
end

-- Serves a context, or each of a list of contexts, until predicate() is true, and returns the longest time between two
-- looks, in seconds. An error that says `what` was waited for when it does not come true.
function loop.serve_until(ctx, predicate, what)
  local now = socket.gettime()
  local deadline, longest_s = now + deadline_s, 0
  local timeout_ms = 0
  while not predicate() do
    if now > deadline then error('waited in vain for ' .. (what or 'a predicate'), 2) end
    step_all(ctx, timeout_ms)
    timeout_ms = 2 -- what the server has sent arrives without the server
    local before = now
    now = socket.gettime()
    longest_s = math.max(longest_s, now - before)
  end
  return longest_s
end

-- --- For leaks.lua ---

function loop.destroy_all()
  for ctx in pairs(states) do
    ctx:destroy()
  end
  for _ = 1, loop.other and 2 or 0 do
    loop.other.step(0) -- what it had of them is let go of
  end
end

function loop.take_errors()
  local taken = errors
  errors = {}
  return taken
end

-- How many of the objects that callbacks were given, and contexts, are not collected.
function loop.count_objects()
  local count = 0
  for _ in pairs(objects) do
    count = count + 1
  end
  return count
end

return loop
