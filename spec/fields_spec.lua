-- SPDX-License-Identifier: MIT
-- ws.anything = value
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local websockets = require 'websockets'

describe('own fields of a websocket', function()
  leaks.check_each(before_each, after_each)

  it('are there', function()
    local _, ws, ctx, port = pair.open()
    assert.is_nil(ws.name)
    ws.name = 'alice'
    ws.name2, ws[1], ws[true], ws[ws] = 2, 'one', false, ws
    assert.equal('alice', ws.name)
    assert.equal(2, ws.name2)
    assert.equal('one', ws[1])
    assert.is_false(ws[true])
    assert.equal(ws, ws[ws])
    assert.is_nil(ws.other)
    ws.name = 'bob'
    assert.equal('bob', ws.name)
    ws.name = nil
    assert.is_nil(ws.name)
    ws.name = 'carol'
    assert.equal('carol', ws.name)
    client.open(ctx, port, 'p')
  end)

  it('belong to one websocket', function()
    local opened = {}
    local ctx, port = pair.context(nil, function(ws)
      opened[#opened + 1] = ws
      if #opened < 3 then ws.number = #opened end
    end)
    for _ = 1, 3 do
      client.open(ctx, port, 'p')
    end
    assert.equal(1, opened[1].number)
    assert.equal(2, opened[2].number)
    assert.is_nil(opened[3].number)
  end)

  it('change nothing of the methods', function()
    local c, ws = pair.open()
    local plain = debug.getmetatable(ws).__index
    ws.room = 'lobby'
    for name, method in pairs(plain) do
      assert.equal(method, ws[name])
    end
    assert.is_truthy(tostring(ws):find '^websocket: 0?x?%x+ %(open%)$')
    local got
    ws:on_receive(function(same, data)
      assert.equal(ws, same)
      got = same.room .. data
      same:write(got)
    end)
    c:text '!'
    c:expect_text 'lobby!'
    ws:on_broadcast(websockets.WRITE_BINARY)
    ws:broadcast 'all'
    c:expect_binary 'all'
    ws:close(1000)
    c:expect_close(1000)
  end)

  it('may be the key of a table', function()
    local _, ws = pair.open()
    local set = { [ws] = true }
    ws.x = 1
    assert.is_true(set[ws])
  end)

  it('may hide a method', function()
    local c, ws = pair.open()
    for _ = 1, 2 do
      for _, name in ipairs { 'state', 'topics', 'write', 'request' } do
        ws[name] = 'lobby'
        assert.equal('lobby', ws[name])
        ws[name] = nil
        assert.is_function(ws[name])
        ws[name] = nil
      end
      ws.x = 1 -- the second time it has fields
    end
    ws.write = function() return 'mine' end
    assert.equal('mine', ws:write 'x')
    ws.on_message, ws.on_close = 'no function', true
    ws:close(1000) -- the library needs none of them
    c:expect_close(1000)
    assert.has_error(function() ws[nil] = 1 end)
    assert.has_error(function() ws[0 / 0] = 1 end)
    assert.equal(1, ws.x)
  end)

  it('cannot be functions for events, which nobody would call', function()
    local _, ws = pair.open()
    local ours = {
      ['ws:on_receive(fn)'] = { 'on_message', 'onmessage', 'onMessage', 'OnMessage', 'on_data', 'on_receive' },
      ['ws:on_receive_chunk(fn)'] = { 'on_receive_chunk' },
      ['the function of its protocol, which is called when it opens'] = { 'on_open', 'onopen', 'on_connect' },
      ['ws:on_closed(fn)'] = { 'on_close', 'onclose', 'on_disconnect', 'on_closed' },
      ['on_error of websockets.context'] = { 'on_error', 'onerror' },
      ['ws:on_server_writeable(fn)'] = { 'on_drain', 'on_writable', 'onserverwriteable' },
      ['ws:on_broadcast(fn)'] = { 'on_broadcast' },
      ['ws:on_pong(fn)'] = { 'on_pong', 'onpong', 'on_ping' },
    }
    for _ = 1, 2 do
      for ours_name, names in pairs(ours) do
        for _, name in ipairs(names) do
          local ok, message = pcall(function() ws[name] = function() end end)
          assert.is_false(ok)
          local expected = ("websocket field '%s' would never be called, use %s"):format(name, ours_name)
          assert.is_truthy(message:find(expected, 1, true), message)
        end
      end
      ws.x = 1
    end
    ws.on_tick = function() return 'a name of its own' end
    assert.equal('a name of its own', ws.on_tick())
  end)

  it('take nothing until there is one', function()
    local _, ws = pair.open()
    local metatable = debug.getmetatable(ws)
    ws.x = nil
    assert.has_error(function() ws[nil] = 1 end)
    assert.equal(metatable, debug.getmetatable(ws))
    ws.x = 1
    assert.not_equal(metatable, debug.getmetatable(ws))
  end)

  it('stay when it is closed', function()
    local c, ws, ctx = pair.open(nil, function(ws)
      ws.name = 'alice'
      ws:on_closed(function(same) same.reason = 'closed' end)
    end)
    c:finish(1000)
    leaks.collect()
    assert.equal('alice', ws.name)
    assert.equal('closed', ws.reason)
    ws.more = 1
    assert.equal(1, ws.more)
    assert.equal(-1, (ws:write 'x'))
    assert.is_truthy(tostring(ws):find '%(closed%)$')
    ctx:destroy()
    leaks.collect()
    assert.equal('alice', ws.name)
  end)

  it('may be set for the first time when it is closed', function()
    local c, ws = pair.open()
    ws:terminate()
    ws.late = true
    assert.is_true(ws.late)
    assert.equal(-1, (ws:write 'x'))
    c:expect_loss()
  end)

  it('are collected in cycles', function()
    local weak = setmetatable({}, { __mode = 'v' })
    do
      local c, ws, ctx = pair.open(nil, function(ws)
        ws.me = ws
        ws:on_receive(function() return ws end)
      end)
      ws.context, ws.client, ws.object = ctx, c, { ws }
      weak[1] = ws.object
      c.ctx = {}
    end
    leaks.collect()
    assert.equal(0, loop.count_objects())
    assert.is_nil(weak[1])
  end)

  it('are collected with it, while the context lives', function()
    local weak = setmetatable({}, { __mode = 'v' })
    local ctx, port = pair.context(nil, function(ws)
      ws.me, ws.object = ws, {}
      weak[#weak + 1] = ws.object
    end)
    for _ = 1, 5 do
      client.open(ctx, port, 'p'):finish(1000)
    end
    loop.serve_until(ctx, function()
      leaks.collect()
      return loop.count_objects() == 1
    end)
    assert.is_nil(next(weak))
  end)

  it('are kept from one request to the next in on_http', function()
    local c = http.open(function(ws)
      ws.count = (ws.count or 0) + 1
      ws:respond(200, nil, tostring(ws.count))
    end)
    for i = 1, 3 do
      c:send(http.request '/')
      assert.equal(tostring(i), (select(3, c:read_response())))
    end
  end)

  it('are checked like others', function()
    local _, ws = pair.open()
    local write, newindex = ws.write, debug.getmetatable(ws).__newindex
    ws.x = 1
    for _, wrong in ipairs { io.stdout, {}, 'x', 1 } do
      assert.has_error(function() write(wrong, 'x') end)
      assert.has_error(function() newindex(wrong, 'x', 1) end)
    end
    assert.equal(0, (write(ws, 'x')))
  end)
end)
