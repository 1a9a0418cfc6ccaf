-- SPDX-License-Identifier: MIT
-- Finalizers may do anything, and any function that makes something may run them.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'

-- An object that calls `finalize` when it is collected.
local function finalized(finalize)
  local proxy = newproxy and newproxy(true) or {}
  local metatable = newproxy and getmetatable(proxy) or {}
  metatable.__gc = finalize
  return newproxy and proxy or setmetatable(proxy, metatable)
end

-- So deep in the stack that nothing of it is left where the collector looks.
local function finalize_deeply(finalize, depth)
  if depth == 0 then
    finalized(finalize)
  else
    finalize_deeply(finalize, depth - 1)
  end
  return nil
end

-- Lets the next thing that is made run a whole cycle of the collector, which calls `finalize`.
local function collect_next(finalize)
  collectgarbage()
  collectgarbage 'stop'
  finalize_deeply(finalize, 20)
  if _VERSION == 'Lua 5.4' then
    collectgarbage('incremental', 100, 1000, 30)
  else
    collectgarbage('setstepmul', 200000000)
  end
  collectgarbage 'restart'
end

describe('a finalizer', function()
  leaks.check_each(before_each, after_each)
  after_each(function()
    if _VERSION == 'Lua 5.4' then
      collectgarbage('incremental', 200, 100, 13)
    else
      collectgarbage('setpause', 200)
      collectgarbage('setstepmul', 200)
    end
  end)

  local function deferred_upgrade()
    local waiting = {}
    local ctx, port = pair.context { on_upgrade = function(request)
      waiting[1] = request
      return request:defer()
    end }
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    loop.serve_until(ctx, function() return waiting[1] end, 'the request')
    return waiting[1], ctx
  end

  it('may end the connection whose request is being accepted', function()
    local request, ctx = deferred_upgrade()
    collect_next(function() ctx:destroy() end)
    local ok, why = request:accept()
    -- Lua 5.2 looks whether it is time before it makes something, not behind it: the finalizer may run later there.
    if _VERSION == 'Lua 5.2' and ok then return end
    assert.same({ nil, 'closed' }, { ok, why })
  end)

  it('may end the connection whose request is being made', function()
    local c, waiting, ctx = http.open_deferred()
    c:send(http.request '/')
    local ws = http.await(c, waiting)
    collect_next(function() ctx:destroy() end)
    local request = ws:request()
    assert.is_nil(request)
    assert.is_nil(ws:request())
  end)

  it('may answer a request that on_upgrade has just answered', function()
    local answer
    local ctx, port = pair.context { on_upgrade = function(request)
      local headers = { ['X-Own'] = 'value' }
      collect_next(function() answer = { request:accept() } end)
      return true, headers
    end }
    local c = client.connect(ctx, port)
    local status, headers = c:handshake { protocol = 'p' }
    assert.equal(101, status)
    -- Lua 5.1 collects before on_upgrade has returned: then accept was first.
    assert.same(headers['x-own'] and { nil, 'already answered' } or { true }, answer)
    c:finish(1000)
  end)

  it('may want a file of a folder that was collected', function()
    local output = script.run [[
      local http = require 'spec.support.http'
      local loop = require 'spec.support.loop'
      local static
      local results
      c, ctx = http.open(function(ws, uri) results = { pcall(static, ws, uri) } end)
      local function use()
        c:send(http.request '/')
        loop.serve_until(ctx, function() return results end, 'the request')
        print(results[1], results[2])
      end
      -- Finalizers run in the opposite order.
      local proxy = newproxy and newproxy(true) or {}
      local metatable = newproxy and getmetatable(proxy) or {}
      metatable.__gc = use
      kept = newproxy and proxy or setmetatable(proxy, metatable)
      static = require('websockets').static '.'
    ]]
    assert.equal('false\twebsocket could not serve a folder: it was collected\n', output)
  end)
end)
