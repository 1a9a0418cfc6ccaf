-- SPDX-License-Identifier: MIT
-- Many clients that have sent something at the same time: what is received for all of them at once reaches the right one,
-- whatever the callbacks of others do meanwhile.
local client = require 'spec.support.client'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

describe('clients that send at the same time', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local count = 40

  -- Clients with their websockets, all open: { c =, ws =, got = } each. `on_receive(entry, data, entries)`.
  local function open_all(on_receive)
    local entries, opened = {}, {}
    local ctx, port = pair.context({ on_error = function() end }, function(ws)
      opened[#opened + 1] = ws
    end)
    for i = 1, count do
      local c = client.open(ctx, port, 'p')
      local entry = { number = i, c = c, ws = opened[i], got = {} }
      entries[i] = entry
      entry.ws:on_receive(function(_, data)
        entry.got[#entry.got + 1] = data
        on_receive(entry, data, entries)
      end)
      entry.ws:on_closed(function(_, code) entry.closed = code end)
    end
    return entries, ctx, port
  end

  local function send_all(entries, data)
    for _, entry in ipairs(entries) do
      entry.c:send_some(client.frame(client.BINARY, data .. entry.number))
    end
  end

  local function finished(entries, predicate)
    return function()
      for _, entry in ipairs(entries) do
        if not predicate(entry) then return false end
      end
      return true
    end
  end

  for _, size in ipairs { 1, 2000, 2048, 5000, 100000 } do
    it('are answered each with its own, of bytes: ' .. size, function()
      local data = ('x'):rep(size)
      local entries, ctx = open_all(function(entry, message) entry.ws:write(message, 1) end)
      for round = 1, 3 do
        send_all(entries, data)
        loop.serve_until(ctx, finished(entries, function(entry) return #entry.got == round end))
        for _, entry in ipairs(entries) do
          assert.equal(data .. entry.number, entry.got[round])
          entry.c:expect_frame(client.BINARY, data .. entry.number)
        end
      end
    end)
  end

  for _, ending in ipairs { 'close', 'terminate' } do
    it('get no callback any more after another one was told to ' .. ending, function()
      local first
      local entries, ctx = open_all(function(entry, _, all)
        if first then return end
        first = entry
        for _, other in ipairs(all) do
          if other ~= entry then other.ws[ending](other.ws) end
        end
      end)
      send_all(entries, 'x')
      loop.serve_until(ctx, function() return first end)
      for _, entry in ipairs(entries) do
        if entry ~= first then
          assert.is_number(entry.closed)
          assert.same({}, entry.got)
        end
      end
      first.ws:write 'still there'
      first.c:expect_text 'still there'
    end)
  end

  it('keep what was received while another callback switched their reading off', function()
    local stopped_by
    local entries, ctx = open_all(function(entry, _, all)
      if stopped_by then return end
      stopped_by = entry
      for _, other in ipairs(all) do
        other.ws:rx_flow_control(false)
      end
    end)
    send_all(entries, 'x')
    loop.serve_until(ctx, function() return stopped_by end)
    for _ = 1, 5 do
      loop.step(ctx, 1)
    end
    for _, entry in ipairs(entries) do
      assert.equal(entry == stopped_by and 1 or 0, #entry.got)
      entry.ws:rx_flow_control(true)
    end
    loop.serve_until(ctx, finished(entries, function(entry) return entry.got[1] == 'x' .. entry.number end))
  end)

  it('are served although one callback fails', function()
    local failed
    local entries, ctx = open_all(function(entry)
      if failed then return end
      failed = entry
      error 'oops'
    end)
    send_all(entries, 'x')
    loop.serve_until(ctx, finished(entries, function(entry) return #entry.got == 1 end))
    assert.equal(1011, failed.closed)
  end)

  it('get no callback any more after the context was destroyed', function()
    local calls = 0
    local entries, ctx
    entries, ctx = open_all(function()
      calls = calls + 1
      ctx:destroy()
    end)
    send_all(entries, 'x')
    loop.serve_until(ctx, function() return calls > 0 end)
    assert.equal(1, calls)
    for _, entry in ipairs(entries) do
      assert.equal(1001, entry.closed)
    end
  end)

  it('may leave at the same time', function()
    local entries, ctx = open_all(function() end)
    for i, entry in ipairs(entries) do
      if i % 3 == 0 then entry.c:reset() end
      if i % 3 == 1 then entry.c:close() end
      if i % 3 == 2 then entry.c:send_close(1000) end
    end
    loop.serve_until(ctx, finished(entries, function(entry) return entry.closed end))
    for i, entry in ipairs(entries) do
      assert.equal(i % 3 == 2 and 1000 or 1006, entry.closed)
    end
  end)
end)
