-- SPDX-License-Identifier: MIT
-- Clients with the option resume: what they have got of each topic, and when they tell it.
local clients = require 'spec.support.clients'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local websockets = require 'websockets'

local at_once = { delay = 0, max_delay = 0 }

-- Messages are "topic position text"; others carry none.
local function topics(data) return data:match '^(%a+) (%d+) ' end

local function first(count, ...) return (table.unpack or unpack)({ ... }, 1, count) end

describe('resume', function()
  after_each(clients.close_all)
  leaks.check_each(before_each, after_each)

  -- A server, a client of it that is open, and the list of what its on_open was told.
  local function open(options, config)
    local made = { opened = {} }
    made.ctx, made.url = clients.server(config, function(ws) made.served = ws end)
    made.ws = made.ctx:connect(made.url, options or { reconnect = at_once, resume = { topics = topics } })
    made.ws:on_open(function(_, _, positions) made.opened[#made.opened + 1] = positions or 'none' end)
    loop.serve_until(made.ctx, function() return #made.opened == 1 and made.served end, 'the first opening')
    return made.ctx, made.ws, made
  end

  local function send(made, ...)
    for _, data in ipairs { ... } do
      assert.equal(0, made.served:write(data))
    end
  end

  -- The server drops the connection. Returns at the next opening.
  local function drop(made)
    local count = #made.opened
    made.served:terminate()
    loop.serve_until(made.ctx, function() return #made.opened > count end, 'another opening')
  end

  local function receive(ctx, ws, count)
    local got = {}
    ws:on_receive(function(_, data) got[#got + 1] = data end)
    loop.serve_until(ctx, function() return #got >= count end, 'messages')
    return got
  end

  -- Everything that was sent so far waits in the inbox.
  local function wait_for_arrival(made)
    local is_here = false
    made.ws:on_pong(function() is_here = true end)
    made.ws:ping()
    loop.serve_until(made.ctx, function() return is_here end, 'a pong')
  end

  it('tells at each opening what was got of each topic', function()
    local ctx, ws, made = open()
    assert.same({ {} }, made.opened)
    assert.same({}, ws:positions())
    send(made, 'a 1 x', 'b 7 x', 'a 2 x', 'without')
    assert.same({ 'a 1 x', 'b 7 x', 'a 2 x', 'without' }, receive(ctx, ws, 4))
    assert.same({ a = '2', b = '7' }, ws:positions())
    drop(made)
    assert.same({ a = '2', b = '7' }, made.opened[2])
    send(made, 'a 3 x')
    receive(ctx, ws, 1)
    assert.same({ a = '3', b = '7' }, ws:positions())
    ws:reopen()
    loop.serve_until(ctx, function() return #made.opened == 3 end, 'another opening')
    assert.same({ a = '3', b = '7' }, made.opened[3])
    assert.same({ a = '2', b = '7' }, made.opened[2]) -- each is a table of its own
    made.opened[3].a = 'changed'
    assert.same({ a = '3', b = '7' }, ws:positions())
  end)

  it('gives data and type to its function, before on_receive', function()
    local log = {}
    local ctx, ws, made = open { resume = { topics = function(...)
      log[#log + 1] = { 'topics', ... }
      return 'a', tostring(#log)
    end } }
    ws:on_receive(function(client, ...)
      assert(rawequal(client, ws))
      log[#log + 1] = { 'on_receive', ws:positions().a, ... }
    end)
    send(made, 'x')
    made.served:write('\0y', websockets.WRITE_BINARY)
    loop.serve_until(ctx, function() return #log == 4 end, 'messages')
    assert.same({ { 'topics', 'x', 0 }, { 'on_receive', '1', 'x', 0 }, { 'topics', '\0y', 1 },
      { 'on_receive', '3', '\0y', 1 } }, log)
  end)

  it('keeps a position when receive returns its message', function()
    local ctx, ws, made = open()
    send(made, 'a 1 x', ('a 2 %s'):format(('x'):rep(5000)), 'without', 'b 7 x')
    wait_for_arrival(made)
    assert.same({}, ws:positions())
    assert.same({ 'a 1 x', 0 }, { ws:receive() })
    assert.same({ a = '1' }, ws:positions())
    local seen = {}
    local thread = ctx:spawn(function()
      for _ = 1, 4 do
        seen[#seen + 1] = #ws:receive()
      end
      seen[#seen + 1] = ws:positions()
      seen[#seen + 1] = ws:receive() -- waits
      return ws:positions().a
    end)
    loop.serve_until(ctx, function() return #seen == 3 end, 'the messages that wait')
    send(made, 'b 8 xx')
    loop.serve_until(ctx, function() return #seen == 5 end, 'a message')
    assert.same({ 5004, 7, 5, 6, { a = '2', b = '8' } }, seen)
    send(made, 'a 3 x')
    assert.same({ true, '3' }, { thread:join() })
    assert.same({ nil, 'timeout' }, { ws:receive(0) })
  end)

  it('has messages that nobody has got sent again', function()
    local ctx, ws, made = open()
    send(made, 'a 1 x', 'a 2 x', 'without', 'a 3 x')
    wait_for_arrival(made)
    assert.equal('a 1 x', ws:receive())
    drop(made)
    assert.same({ a = '1' }, made.opened[2])
    send(made, 'a 2 x', 'a 3 x', 'a 4 x')
    local got = {}
    for i = 1, 4 do
      got[i] = ws:receive()
    end
    assert.same({ 'without', 'a 2 x', 'a 3 x', 'a 4 x' }, got)
    assert.same({ a = '4' }, ws:positions())
  end)

  it('does so where a function takes the place of the inbox', function()
    local ctx, ws, made = open()
    send(made, 'a 1 x', 'without')
    wait_for_arrival(made)
    drop(made)
    send(made, 'a 1 x', 'a 2 x')
    assert.same({ 'without', 'a 1 x', 'a 2 x' }, receive(ctx, ws, 3))
    assert.same({ a = '2' }, ws:positions())
  end)

  it('gives a function what waits unread, and notes it', function()
    local ctx, ws, made = open()
    send(made, 'a 1 x', 'a 2 x')
    wait_for_arrival(made)
    assert.same({ 'a 1 x', 'a 2 x' }, receive(ctx, ws, 2))
    assert.same({ a = '2' }, ws:positions())
  end)

  it('is asked by who waits for the opening', function()
    local ctx, url = clients.server(nil, function(ws) ws:write 'a 1 x' end)
    local ws = ctx:connect(url, { reconnect = at_once, resume = { topics = topics } })
    assert.same({}, ws:positions())
    local told = {}
    ctx:spawn(function()
      for i = 1, 3 do
        assert(ws:wait_open())
        told[i] = ws:positions()
        assert(ws:receive())
        if i < 3 then ws:reopen() end
      end
    end)
    loop.serve_until(ctx, function() return #told == 3 end, 'openings')
    assert.same({ {}, { a = '1' }, { a = '1' } }, told)
  end)

  it('still answers once it is closed', function()
    local ctx, ws, made = open()
    local in_callback
    ws:on_closed(function() in_callback = ws:positions() end)
    send(made, 'a 1 x', 'a 2 x', 'without')
    made.served:close(4001) -- final, for a client that does not reconnect
    ws:on_retry(function() return false end)
    clients.wait_for_state(ctx, ws, 'closed')
    assert.same({}, in_callback)
    assert.equal('a 1 x', ws:receive())
    assert.same({ a = '1' }, ws:positions())
    assert.equal('a 2 x', ws:receive())
    assert.equal('without', ws:receive())
    assert.same({ nil, 'closed', 4001 }, { first(3, ws:receive()) })
    assert.same({ a = '2' }, ws:positions())
    assert.equal(ctx, ws:context())
    ctx:destroy()
    assert.same({ a = '2' }, ws:positions())
    ws:on_receive(function() end)
  end)

  it('drops what had waited at an opening also once it is closed', function()
    local ctx, ws, made = open()
    send(made, 'a 1 x', 'a 2 x')
    wait_for_arrival(made)
    drop(made)
    ws:on_retry(function() return false end)
    made.served:terminate()
    clients.wait_for_state(ctx, ws, 'closed')
    assert.same({ nil, 'closed' }, { first(2, ws:receive()) })
    assert.same({}, ws:positions())
  end)

  it('tells errors, and delivers the message', function()
    local errors, whose = {}, {}
    local answers = { function() error 'oops' end, function() return 'a', 7 end, function() return true, 'x' end,
      function() error {} end, function() return nil, 'x' end, function() return 'a' end, function() return 'a', '1' end }
    local count = 0
    local function next_answer(...)
      count = count + 1
      return answers[(count - 1) % #answers + 1](...)
    end
    local ctx, ws, made = open({ resume = { topics = next_answer } }, {
      on_error = function(message, client) errors[#errors + 1], whose[#whose + 1] = message, client end,
    })
    local function check()
      assert.equal(4, #errors)
      assert.matches('oops.*traceback', errors[1])
      assert.matches("the function for topics returned 'a', 7, not two strings", errors[2])
      assert.matches("the function for topics returned true, 'x', not two strings", errors[3])
      assert.same({ ws, ws, ws, ws }, whose)
      assert.same({ a = '1' }, ws:positions())
      assert.equal('open', ws:state())
      errors, whose = {}, {}
    end
    send(made, '1', '2', '3', '4', '5', '6', '7')
    for i = 1, 7 do
      assert.equal(tostring(i), ws:receive())
    end
    check()
    send(made, '1', '2', '3', '4', '5', '6', '7')
    assert.same({ '1', '2', '3', '4', '5', '6', '7' }, receive(ctx, ws, 7))
    check()
    answers = { function() error 'oops' end }
    ws:on_receive(function() error 'of on_receive' end)
    send(made, '1')
    clients.wait_for_state(ctx, ws, 'closed')
    assert.equal(2, #errors)
    assert.matches('oops', errors[1])
    assert.matches('of on_receive', errors[2])
  end)

  it('may do anything in its function', function()
    local ends = { close = true, terminate = true, destroy = true }
    for _, how in ipairs { 'on_receive', 'receive' } do
      for _, what in ipairs { 'close', 'terminate', 'destroy', 'collect', 'on_receive', 'receive' } do
        local ctx, ws, made
        local count, delivered = 0, 0
        local function count_message() delivered = delivered + 1 end
        local calls = {
          destroy = function() ctx:destroy() end,
          collect = leaks.collect,
          on_receive = function() ws:on_receive(count_message) end,
          receive = function() pcall(ws.receive, ws, 0) end,
        }
        ctx, ws, made = open { resume = { topics = function()
          count = count + 1
          if count == 1 then (calls[what] or ws[what])(ws) end
          return 'a', tostring(count)
        end } }
        if how == 'on_receive' then
          ws:on_receive(count_message)
          send(made, 'x')
          loop.serve_until(ctx, function() return count == 1 end, 'a message')
          assert.equal(ends[what] and 0 or 1, delivered)
        else
          send(made, 'x')
          wait_for_arrival(made)
          assert.equal('x', ws:receive())
          assert.same({ a = '1' }, ws:positions())
        end
      end
    end
  end)

  it('cannot wait in its function', function()
    local errors = {}
    local ctx, ws, made = open({ resume = { topics = function()
      websockets.sleep(0)
      return 'a', '1'
    end } }, { on_error = function(message) errors[#errors + 1] = message end })
    local got
    ctx:spawn(function()
      got = ws:receive()
      ws:on_receive(function(_, data) got = data end)
    end)
    for i = 1, 2 do
      send(made, 'x' .. i)
      loop.serve_until(ctx, function() return got == 'x' .. i end, 'a message')
      assert.equal(i, #errors)
    end
    assert.matches('yield', errors[1])
    assert.matches('sleep inside a callback', errors[2])
    assert.same({}, ws:positions())
  end)

  it('costs nothing, and says so, without the option', function()
    local ctx, ws, made = open { reconnect = at_once }
    assert.is_nil(ws:positions())
    assert.is_nil(made.served:positions())
    send(made, 'a 1 x')
    assert.same({ 'a 1 x' }, receive(ctx, ws, 1))
    drop(made)
    assert.same({ 'none', 'none' }, made.opened)
    ws:close()
    assert.is_nil(ws:positions())
  end)

  it('leaves pieces alone', function()
    local ctx, ws, made = open()
    local got
    ws:on_receive_chunk(function(_, data) got = data end)
    send(made, 'a 1 x')
    loop.serve_until(ctx, function() return got end, 'a piece')
    assert.equal('a 1 x', got)
    assert.same({}, ws:positions())
  end)

  it('keeps nobody from being collected', function()
    local alive = setmetatable({}, { __mode = 'k' })
    local function use(is_closed)
      local ctx, ws, made = open { resume = { topics = function(data) return topics(data) end } }
      local client
      client = ctx:connect(made.url, { resume = { topics = function(data)
        assert(client and ctx)
        return topics(data)
      end } })
      clients.wait_for_state(ctx, client, 'open')
      client:on_receive(function() assert(client) end)
      if is_closed then client:close() end
      if is_closed then ws:close() end
      alive[client], alive[ws], alive[ctx] = true, true, true
    end
    use(false)
    use(true)
    leaks.collect()
    leaks.collect()
    assert.is_nil(next(alive))
  end)
end)
