-- SPDX-License-Identifier: MIT
-- Errors that callbacks raise.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local websockets = require 'websockets'

describe('an error in a callback', function()
  leaks.check_each(before_each, after_each)

  -- A config with an on_error that collects { message =, ws = }.
  local function collecting()
    local errors = {}
    local function on_error(message, ws) errors[#errors + 1] = { message = message, ws = ws } end
    return { on_error = on_error }, errors
  end

  -- A client and its websocket, the errors, what on_closed was told, the context, the port.
  local function open(setup)
    local config, errors = collecting()
    local closed = {}
    local c, ws, ctx, port = pair.open(config, function(ws)
      ws:on_closed(function(_, code) closed[#closed + 1] = code end)
      if setup then setup(ws) end
    end)
    return c, ws, errors, closed, ctx, port
  end

  local function expect_report(errors, ws, text)
    assert.equal(1, #errors)
    assert.is_string(errors[1].message)
    assert.is_truthy(errors[1].message:find(text, 1, true), errors[1].message)
    assert.is_truthy(errors[1].message:find('stack traceback', 1, true), errors[1].message)
    assert.is_truthy(errors[1].message:find('error_spec.lua', 1, true), errors[1].message)
    assert.is_true(errors[1].ws == ws)
  end

  it('on_receive', function()
    local c, ws, errors, closed = open(function(ws)
      ws:on_receive(function() error 'oops' end)
    end)
    c:send(client.frame(client.TEXT, 'x') .. client.frame(client.TEXT, 'y'))
    c:expect_close(1011)
    expect_report(errors, ws, 'oops')
    assert.same({ 1011 }, closed)
    c:send_close(1011)
    c:expect_end()
  end)

  it('on_receive, in the midst of a large message', function()
    local c, ws, errors, closed = open(function(ws)
      ws:on_receive(function() error 'oops' end)
    end)
    c:send(client.frame(client.TEXT, ('x'):rep(200000)) .. client.frame(client.TEXT, ('y'):rep(200000)))
    c:expect_close(1011)
    expect_report(errors, ws, 'oops')
    assert.same({ 1011 }, closed)
  end)

  it('on_receive_chunk', function()
    local c, ws, errors, closed = open(function(ws)
      ws:on_receive_chunk(function() error 'oops' end)
    end)
    c:text 'x'
    c:expect_close(1011)
    expect_report(errors, ws, 'oops')
    assert.same({ 1011 }, closed)
  end)

  it('on_broadcast', function()
    local c, ws, errors, closed, ctx = open(function(ws)
      ws:on_broadcast(function() error 'oops' end)
    end)
    assert.equal(0, ctx:broadcast('p', 'x'))
    expect_report(errors, ws, 'oops')
    assert.same({}, closed) -- never inside broadcast
    c:expect_close(1011)
    assert.same({ 1011 }, closed)
  end)

  it('on_server_writeable', function()
    local c, ws, errors, closed = open(function(ws)
      ws:on_server_writeable(function() error 'oops' end)
    end)
    c:expect_close(1011)
    expect_report(errors, ws, 'oops')
    assert.same({ 1011 }, closed)
  end)

  it('on_closed, whatever ended it', function()
    local ends = {
      function(c) c:send_close(1000) end,
      function(c) c:reset() end,
      function(_, ws) ws:close() end,
      function(_, ws) ws:terminate() end,
      function(_, _, ctx) ctx:destroy() end,
    }
    for _, finish in ipairs(ends) do
      local c, ws, errors, _, ctx = open()
      ws:on_closed(function() error 'oops' end)
      finish(c, ws, ctx)
      loop.serve_until(ctx, function() return errors[1] end)
      expect_report(errors, ws, 'oops')
      ctx:destroy()
      assert.equal(1, #errors)
    end
  end)

  it('the function of the protocol', function()
    local config, errors = collecting()
    local closed, opened = {}, nil
    local ctx, port = pair.context(config, function(ws)
      opened = ws
      ws:on_closed(function(_, code) closed[#closed + 1] = code end)
      error 'oops'
    end)
    local c = client.open(ctx, port, { protocol = 'p', first = client.frame(client.TEXT, 'x') })
    c:expect_close(1011)
    expect_report(errors, opened, 'oops')
    assert.same({ 1011 }, closed)
    opened, errors[1] = nil, nil
  end)

  -- The first line of what on_error is told of an error.
  local function told(error_object)
    local c, _, errors = open(function(ws)
      ws:on_receive(function() error(error_object) end)
    end)
    c:text 'x'
    c:expect_close(1011)
    assert.equal(1, #errors)
    assert.is_truthy(errors[1].message:find('stack traceback', 1, true))
    return errors[1].message:match '^[^\n]*'
  end

  it('may be a table, whose fields are shown', function()
    assert.equal('table {}', told {})
    assert.equal("table { [1] = 'oops' }", told { 'oops' })
    assert.equal('table { [true] = table }', told { [true] = {} })
    local shown = told { code = 7, text = 'oops', fatal = false }
    assert.equal(#"table { code = 7, text = 'oops', fatal = false }", #shown)
    for _, part in ipairs { 'code = 7', "text = 'oops'", 'fatal = false' } do
      assert.is_truthy(shown:find(part, 1, true), shown)
    end
    local many = {}
    for i = 1, 100 do
      many[i] = 0
    end
    assert.matches(', %.%.%. }$', told(many))
    assert.equal(20, select(2, told(many):gsub(' = 0', '')))
  end)

  it('may be an object that says what it is', function()
    assert.equal('an object', told(setmetatable({ 1 }, { __tostring = function() return 'an object' end })))
    assert.equal('table { [1] = 1 }', told(setmetatable({ 1 }, { __tostring = function() return {} end })))
    assert.equal('table { [1] = 1 }', told(setmetatable({ 1 }, { __tostring = function() error 'oops' end })))
    assert.equal('(error object is a nil value)', told(nil))
    assert.equal('(error object is a boolean value)', told(true))
  end)

  it('of a handler is told with its websocket, which is open then, and in the same way', function()
    local config, errors = collecting()
    local opened, state
    local collect = config.on_error
    function config.on_error(message, ws)
      state = ws and ws:state()
      collect(message, ws)
    end
    local ctx, port = pair.context(config, websockets.handler(function(ws)
      opened = ws
      ws:receive()
      error { code = 7 }
    end))
    local c = client.open(ctx, port, { protocol = 'p' })
    c:text 'x'
    c:expect_close(1011)
    assert.equal(1, #errors)
    assert.equal(opened, errors[1].ws)
    assert.equal('open', state)
    assert.equal('table { code = 7 }', errors[1].message:match '^[^\n]*')
    assert.is_truthy(errors[1].message:find('error_spec', 1, true))
    opened, errors[1] = nil, nil
  end)

  it('concerns this connection only', function()
    local config, errors = collecting()
    local ctx, port = pair.context(config, function(ws)
      ws:on_receive(function(_, data)
        if data == 'bad' then error 'oops' end
        ws:write(data)
      end)
    end)
    local clients = {}
    for i = 1, 5 do
      clients[i] = client.open(ctx, port, 'p')
    end
    for i, c in ipairs(clients) do
      c:send_some(client.frame(client.TEXT, i == 3 and 'bad' or 'good'))
    end
    for i, c in ipairs(clients) do
      if i == 3 then
        c:expect_close(1011)
      else
        c:expect_text 'good'
      end
    end
    assert.equal(1, #errors)
    client.open(ctx, port, 'p'):expect_nothing()
  end)

  it('may be that of an endless recursion', function()
    local c, _, errors = open(function(ws)
      local function recurse() return 1 + recurse() end
      ws:on_receive(recurse)
    end)
    c:text 'x'
    c:expect_close(1011)
    assert.equal(1, #errors)
    assert.is_string(errors[1].message)
  end)

  it('is reported before on_closed is called', function()
    local log = {}
    local function on_error(_, ws) log[#log + 1] = 'error ' .. tostring(ws:write 'last words') end
    local c = pair.open({ on_error = on_error }, function(ws)
      ws:on_receive(function() error 'oops' end)
      ws:on_closed(function() log[#log + 1] = 'closed' end)
    end)
    c:text 'x'
    c:expect_text 'last words'
    c:expect_close(1011)
    assert.same({ 'error 0', 'closed' }, log)
  end)

  it('leaves it to on_error what becomes of the websocket', function()
    local closed = {}
    local c = pair.open({ on_error = function(_, ws) ws:close(4000, 'sorry') end }, function(ws)
      ws:on_receive(function() error 'oops' end)
      ws:on_closed(function(_, code) closed[#closed + 1] = code end)
    end)
    c:text 'x'
    c:expect_close(4000, 'sorry')
    assert.same({ 4000 }, closed)
    c:send_close(4000)
    c:expect_end()
  end)

  it('does not leave service, nor close, nor destroy', function()
    local c, ws, errors, _, ctx = open(function(ws)
      ws:on_receive(function() error 'oops' end)
    end)
    c:text 'x'
    for _ = 1, 5 do
      assert.equal(0, ctx:service(1))
    end
    ws:on_closed(function() error 'again' end)
    ws:close()
    ctx:destroy()
    assert.is_true(#errors >= 1)
  end)

  it('does not leave the collector', function()
    local config, errors = collecting()
    local c = pair.open(config, function(ws)
      ws:on_closed(function() error 'oops' end)
    end)
    c.ctx = {}
    leaks.collect()
    assert.equal(1, #errors)
    errors[1] = nil
    c:expect_close(1001)
  end)

  it('can close the connection itself first', function()
    local c, ws, errors, closed = open(function(ws)
      ws:on_receive(function()
        ws:close(4000)
        error 'oops'
      end)
    end)
    c:text 'x'
    c:expect_close(4000)
    assert.equal(1, #errors)
    assert.is_true(errors[1].ws == nil or errors[1].ws == ws)
    assert.same({ 4000 }, closed)
  end)

  it('is written to stderr by default, once, with a traceback', function()
    local output = script.run [[
      local pair = require 'spec.support.pair'
      local c, ws = pair.open({ on_error = false }, function(ws)
        ws:on_receive(function() error 'oops' end)
      end)
      c:text 'x'
      c:expect_close(1011)
      print 'end'
    ]]
    assert.equal(1, select(2, output:gsub('oops', '')), output)
    assert.matches('stack traceback', output)
    assert.matches('end', output)
  end)

  it('may come after the websocket is gone for good', function()
    local config, errors = collecting()
    local ctx, port
    ctx, port = pair.context(config, function(opened)
      local ws = opened
      opened = nil
      ws:on_receive(function(self)
        self:terminate()
        self, ws = nil, nil
        leaks.collect()
        error 'oops'
      end)
    end)
    local c = client.open(ctx, port, 'p')
    c:text 'x'
    loop.serve_until(ctx, function() return #errors == 1 end)
    assert.is_truthy(errors[1].message:find('oops', 1, true))
    assert.is_nil(errors[1].ws)
  end)

  it('in on_error is written to stderr together with the first', function()
    local output = script.run [[
      local pair = require 'spec.support.pair'
      local c = pair.open({ on_error = function() error 'second' end }, function(ws)
        ws:on_receive(function() error 'first' end)
      end)
      c:text 'x'
      c:expect_close(1011)
    ]]
    assert.matches('first', output)
    assert.matches('second', output)
  end)
end)
