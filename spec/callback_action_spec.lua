-- SPDX-License-Identifier: MIT
-- A callback may do anything: each kind of callback does each of these things, also in the place of on_error.
local callbacks = require 'spec.support.callbacks'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'

local function destroy(server)
  server.is_ending = true
  server.ctx:destroy()
end

-- Each is called with the server and the websocket of the callback.
local actions = {
  ['close'] = function(_, ws) ws:close(4000, 'enough') end,
  ['terminate'] = function(_, ws) ws:terminate() end,
  ['write, then close and terminate'] = function(_, ws)
    pcall(ws.write, ws, 'x') -- which on_http refuses
    ws:close()
    ws:terminate()
    assert(ws:write 'x' == -1)
  end,
  ['take away its callbacks'] = function(_, ws)
    for _, name in ipairs { 'on_receive', 'on_receive_chunk', 'on_broadcast', 'on_server_writeable' } do
      ws[name](ws, function() error(name) end)
      ws[name](ws, function() end)
    end
    leaks.collect()
  end,
  ['destroy'] = destroy,
  ['destroy within batch, collect, and try to go on'] = function(server, ws)
    local function destroy_and_collect()
      ws:close()
      destroy(server)
      leaks.collect()
    end
    if server.kind.is_last and loop.is_destroyed(server.ctx) then
      destroy_and_collect()
    else
      server.ctx:batch(destroy_and_collect)
    end
    for _, method in ipairs { 'service', 'topics', 'stop', 'stats' } do
      assert(not pcall(server.ctx[method], server.ctx))
    end
  end,
  ['finalize'] = function(server)
    server.is_ending = true
    debug.getmetatable(server.ctx).__gc(server.ctx)
  end,
  ['collect'] = function() leaks.collect() end,
  ['shut down'] = function(server)
    if loop.is_destroyed(server.ctx) then return end
    server.is_ending = true
    server.ctx:shutdown(0)
  end,
  ['run, which shuts down'] = function(server)
    if loop.is_destroyed(server.ctx) then return end
    server.is_ending = true
    server.ctx:after(0, function(timer)
      server.ctx:stop()
      timer:cancel()
    end)
    assert(server.ctx:run(0) == 0)
    assert(loop.is_destroyed(server.ctx))
  end,
  ['serve'] = function(server)
    if server.is_ending then return end
    for _ = 1, 3 do
      loop.step(server.ctx)
    end
    server:expect_other_undisturbed()
  end,
  ['serve its descriptor and others'] = function(server, ws)
    if loop.is_destroyed(server.ctx) then return end
    local fd = ws:get_socket_fd()
    ws:service 'r'
    for other = math.max(0, fd - 5), fd + 5 do
      if not loop.is_destroyed(server.ctx) then server.ctx:service_fd(other, 'r') end
    end
  end,
  ['broadcast and publish'] = function(server)
    if loop.is_destroyed(server.ctx) then return end
    server.ctx:broadcast('p', 'x')
    server.ctx:publish('topic', 'x')
  end,
  ['stop reading, and go on'] = function(_, ws)
    ws:rx_flow_control(false)
    ws:rx_flow_control(true)
  end,
}

-- In the place of on_error: those that may end what is being reported.
local actions_in_on_error = { 'terminate', 'destroy', 'finalize', 'run, which shuts down', 'serve' }

local function perform(kind, action, in_on_error)
  local server = callbacks.serve(kind)
  local function act(_, ws) action(server, ws or server.ws) end
  if in_on_error then
    server.on_error = function(_, ws)
      server.on_error = nil
      act(server, ws)
    end
    server:call(function() error 'deliberate' end)
    loop.serve_until(server.ctx, function() return not server.on_error end, 'on_error')
  else
    server:call(act)
  end
  for _ = 1, 3 do
    loop.step(server.ctx)
  end
  server:expect_other_undisturbed()
  assert.equal(in_on_error and 1 or 0, #server.errors, server.errors[1] and server.errors[1].message)
  server:finish()
end

describe('a callback', function()
  leaks.check_each(before_each, after_each)

  for name, kind in callbacks.each() do
    it('may do anything: ' .. name, function()
      for what, action in pairs(actions) do
        local ok, why = pcall(perform, kind, action)
        if not ok then error(what .. ': ' .. tostring(why), 0) end
      end
    end)

    it('that failed may have on_error do anything: ' .. name, function()
      for _, what in ipairs(actions_in_on_error) do
        local ok, why = pcall(perform, kind, actions[what], true)
        if not ok then error(what .. ': ' .. tostring(why), 0) end
      end
    end)
  end
end)
