-- SPDX-License-Identifier: MIT
-- Each kind of callback fails, in every way, at any time.
local callbacks = require 'spec.support.callbacks'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'

local function shown_as(tostring_of_it) return setmetatable({}, { __tostring = tostring_of_it }) end

-- Lua's own stack takes megabytes until it is full, that of C little; LuaJIT, where it is the other way round, crashes.
local is_luajit = rawget(_G, 'jit') ~= nil
local function recurse()
  if is_luajit then return 1 + recurse() end
  return (('x'):gsub('x', recurse))
end

-- What may be raised, and a part of what on_error is told.
local ways = {
  ['a string'] = { function() error 'deliberate' end, 'deliberate' },
  ['a string without a place'] = { function() error('deliberate', 0) end, 'deliberate' },
  ['a number'] = { function() error(42) end, '42' },
  ['nil'] = { function() error(nil) end, 'nil' },
  ['a boolean'] = { function() error(false) end, 'boolean' },
  ['a table'] = { function() error {} end, 'table' },
  ['a function'] = { function() error(print) end, 'function' },
  ['an object'] = { function() error(shown_as(function() return 'shown so' end)) end, 'shown so' },
  ['an object that is shown as a table'] = { function() error(shown_as(function() return {} end)) end, 'table' },
  ['an object that cannot be shown'] = { function() error(shown_as(function() error 'no' end)) end, '' },
  ['an object that yields to be shown'] = { function() error(shown_as(coroutine.yield)) end, '' },
  ['an error of the module'] = { function(server) server.ctx:broadcast('unknown', 'x') end, 'unknown protocol' },
  ['a yield'] = { function() coroutine.yield() end, 'yield' },
  ['an endless recursion'] = { recurse, '' },
}

-- What a callback may have done before.
local befores = {
  ['has written'] = function(_, ws) pcall(ws.write, ws, 'x') end, -- which on_http refuses
  ['has published'] = function(server) server.ctx:publish('topic', 'x') end,
  ['has closed'] = function(_, ws) ws:close(4000) end,
  ['has terminated'] = function(_, ws) ws:terminate() end,
  ['has destroyed'] = function(server)
    server.is_ending = true
    server.ctx:destroy()
  end,
}

-- So that what yields could, if it were let.
local function in_coroutine(fn, ...)
  local thread = coroutine.create(fn)
  local ok, why = coroutine.resume(thread, ...)
  assert.is_true(ok, why)
  assert.equal('dead', coroutine.status(thread))
end

local function expect_report(server, text)
  assert.equal(1, #server.errors)
  local message = server.errors[1].message
  assert.is_string(message)
  assert.is_truthy(message:find(text, 1, true), message)
end

-- What becomes of the subject of whose callback nothing is known but that it has failed.
local function expect_end(server)
  local kind, subject = server.kind, server.subject
  if kind.status then
    local status = subject:read_head()
    assert.equal(kind.status, status)
    if status ~= 101 then return end
  end
  if kind.is_over or kind.has_no_websocket then return end
  local frame
  repeat
    frame = subject:receive_frame()
  until frame.opcode == 8
  assert.equal('\3\243', frame.payload:sub(1, 2)) -- 1011
end

-- One server for them all, unless it ends.
local function fail_in_all_ways(kind)
  local server = callbacks.serve(kind)
  for what, way in pairs(ways) do
    if server.is_ending then
      server:finish()
      server = callbacks.serve(kind)
    else
      server:connect_subject()
    end
    local fail, text = way[1], way[2]
    if not (kind.is_last and what == 'an error of the module') then
      server:call(fail)
      loop.serve_until(server.ctx, function() return server.errors[1] end, what)
      expect_report(server, text)
      local has_websocket = not kind.has_no_websocket
      assert.is_true(not has_websocket or server.errors[1].ws ~= nil)
      server.errors = {}
      expect_end(server)
      server:expect_other_undisturbed()
    end
  end
  server:finish()
end

local function fail_after(kind, before)
  local server = callbacks.serve(kind)
  server:call(function(_, ws)
    before(server, ws or server.ws)
    error 'deliberate'
  end)
  for _ = 1, 3 do
    loop.step(server.ctx)
  end
  expect_report(server, 'deliberate')
  server:expect_other_undisturbed()
  server:finish()
end

describe('a callback that fails', function()
  leaks.check_each(before_each, after_each)

  for name, kind in callbacks.each() do
    it('with any value, ends its websocket only: ' .. name, function() in_coroutine(fail_in_all_ways, kind) end)

    it('may have done anything before: ' .. name, function()
      for what, before in pairs(befores) do
        if not (kind.is_last and what == 'has published') then
          local ok, why = pcall(fail_after, kind, before)
          if not ok then error(what .. ': ' .. tostring(why), 0) end
        end
      end
    end)
  end
end)
