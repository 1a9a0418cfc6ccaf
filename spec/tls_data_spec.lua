-- SPDX-License-Identifier: MIT
-- TLS: the bytes of messages and files, and the ends of connections.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'

local megabyte = 2 ^ 20
local is_slow = loop.time_factor > 1

-- Takes `count` bytes, and serves after each little piece of them.
local function read_slowly(c, count)
  local parts, missing = {}, count
  while missing > 0 do
    local piece = math.min(missing, 50000)
    parts[#parts + 1] = c:read(piece)
    loop.step(c.ctx, 0)
    missing = missing - piece
  end
  return table.concat(parts)
end

local function expect_slowly(c, opcode, payload)
  local first = c:read(10)
  assert.equal(128 + opcode, first:byte(1))
  assert.equal(127, first:byte(2))
  assert.equal(client.big_endian(#payload, 8), first:sub(3))
  assert.is_true(read_slowly(c, #payload) == payload)
end

describe('messages over TLS', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local secure = { tls = {} }

  local function echo(ws)
    ws:on_receive(function(_, data, kind) ws:write(data, kind) end)
  end

  for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
    it('of any size arrive whole in ' .. version, function()
      local c = pair.open(tls.config(), echo, { tls = { protocol = version } })
      for _, size in ipairs { 0, 1, 125, 126, 16383, 16384, 16385, 65535, 65536, 1e6 } do
        local data = http.pattern(size)
        c:binary(data)
        c:expect_binary(data)
      end
      c:finish(1000)
    end)
  end

  it('arrive without further ones when there are too many for one turn in each record', function()
    local count = 0
    local c, _, ctx = pair.open(tls.config(), function(ws)
      ws:on_receive(function() count = count + 1 end)
    end, { tls = {} })
    local frames = client.frame(client.TEXT, ''):rep(2000)
    for _ = 1, 3 do
      c:send(frames) -- a record
    end
    loop.serve_until(ctx, function() return count == 6000 end, 'all of them')
    c:finish(1000)
  end)

  if loop.mode == 'own' then
    it('in records of a byte each take many turns', function()
      local count = 0
      local c, _, ctx = pair.open(tls.config(), function(ws)
        ws:on_receive(function() count = count + 1 end)
      end, { tls = {} })
      local message = client.frame(client.TEXT, ('x'):rep(2000))
      for i = 1, #message do
        assert.equal(1, c.sock:send(message:sub(i, i)))
      end
      local steps = 0
      repeat
        loop.step(ctx)
        steps = steps + 1
      until count == 1
      assert.is_true(steps > 10, ('%d steps'):format(steps))
      c:finish(1000)
    end)
  end

  it('reach a slow reader, then the end does, within a close_timeout', function()
    local data = http.pattern((is_slow and 8 or 64) * megabyte)
    local c, ws = pair.open(tls.config { close_timeout = 5 * loop.time_factor, max_backpressure = 2 * #data }, nil,
      { tls = {}, receive_buffer = 65536 })
    assert.equal(0, ws:write(data, 1))
    assert.equal(0, ws:write 'and this')
    ws:close(1000, 'done')
    expect_slowly(c, client.BINARY, data)
    c:expect_text 'and this'
    c:expect_close(1000, 'done')
    c:send_close(1000)
    c:expect_end()
  end)

  it('go both ways at once', function()
    local data = http.pattern((is_slow and 1 or 7) * megabyte)
    local c = pair.open(tls.config { max_message_size = #data }, echo, { tls = {}, receive_buffer = 65536 })
    for _ = 1, 3 do
      c:binary(data)
    end
    for _ = 1, 3 do
      expect_slowly(c, client.BINARY, data)
    end
    c:expect_nothing()
  end)

  it('that waited for room go on when there is', function()
    local count = is_slow and 200 or 2000
    local c, ws, ctx = pair.open(tls.config(), nil, { tls = {}, receive_buffer = 65536 })
    for i = 1, count do
      assert.equal(0, ws:write(http.pattern(5000) .. i))
      if i % 100 == 0 then loop.step(ctx, 0) end
    end
    for i = 1, count do
      c:expect_text(http.pattern(5000) .. i)
    end
    c:expect_nothing()
  end)

  -- All of them are taken from the kernel at once.
  local function burst(count)
    local frames = {}
    for i = 1, count do
      frames[i] = client.frame(client.TEXT, tostring(i), { mask = '\0\0\0\0' })
    end
    return table.concat(frames)
  end

  it('that come in one burst are all delivered', function()
    local c = pair.open(tls.config(), echo, secure)
    c:send(burst(3000))
    for i = 1, 3000 do
      c:expect_text(tostring(i))
    end
  end)

  -- Where one turn of a connection ends, OpenSSL may have taken more from the kernel than was asked for.
  it('that end behind what is taken at once are delivered whole', function()
    local got
    local c, _, ctx = pair.open(tls.config { max_message_size = megabyte }, function(ws)
      ws:on_receive(function(_, data) got = #data end)
    end, secure)
    for beyond = 0, 17000, is_slow and 4000 or 1000 do
      got = nil
      c:binary(('x'):rep(2 ^ 18 + beyond - 500))
      loop.serve_until(ctx, function() return got end)
      assert.equal(2 ^ 18 + beyond - 500, got)
    end
  end)

  for _, size in ipairs { 1, 20, 5000 } do
    it(('wait in records of %d bytes while flow control is off'):format(size), function()
      local count = size == 1 and 20 or 3000
      local received, other = 0, nil
      local c, ws, ctx, port = pair.open(tls.config(), function(ws)
        if other == nil then other = false else return end
        ws:on_receive(function(self, data)
          received = received + 1
          assert(data == tostring(received))
          if received % 10 == 1 then self:rx_flow_control(false) end
        end)
      end, secure)
      other = client.open(ctx, port, { protocol = 'p', tls = {} })
      local bytes = burst(count)
      for position = 1, #bytes, size do
        c:send(bytes:sub(position, position + size - 1))
      end
      loop.serve_until(ctx, function() return received > 0 end)
      for expected = 1, count, 10 do
        other:expect_nothing()
        assert.equal(expected, received)
        ws:rx_flow_control(true)
        loop.serve_until(ctx, function() return received >= math.min(expected + 10, count) end, 'more messages')
      end
      if received < count then ws:rx_flow_control(true) end
      c:expect_nothing()
      assert.equal(count, received)
    end)
  end

  it('that are not there in full do not keep the loop busy', function()
    local closed
    local c, ws, ctx, port = pair.open(tls.config(), nil, secure)
    ws:on_closed(function(_, code) closed = code end)
    local other = client.open(ctx, port, { protocol = 'p', tls = {} })
    c.sock:beneath(function(plain) plain:send('\23\3\3\1\0half of a record') end)
    other:expect_nothing()
    local timeout = ctx:timeout()
    assert.is_true(timeout == nil or timeout > 0)
    c.sock:beneath(function(plain) plain:send(('x'):rep(256)) end)
    loop.serve_until(ctx, function() return closed end)
    assert.equal(1006, closed)
    other:expect_nothing()
  end)

  it('are broadcast to all', function()
    local ctx, port = pair.context(tls.config())
    local clients = {}
    for i = 1, 10 do
      clients[i] = client.open(ctx, port, { protocol = 'p', tls = {}, receive_buffer = i > 5 and 65536 or nil })
    end
    local data = http.pattern((is_slow and 0.5 or 3) * megabyte)
    ctx:broadcast('p', data)
    ctx:broadcast('p', 'x')
    for _, c in ipairs(clients) do
      expect_slowly(c, client.TEXT, data)
      c:expect_text 'x'
    end
  end)
end)

describe('HTTP over TLS', function()
  leaks.check_each(before_each, after_each)
  teardown(function()
    tls.remove_folders()
    http.remove_files()
  end)

  it('sends files, also to a slow reader', function()
    local contents = http.pattern((is_slow and 3 or 20) * megabyte + 7)
    local path = http.file(contents)
    local ctx, port = http.context(function(ws) ws:serve_http_file(path, 'text/plain') end, tls.config())
    local c = client.connect(ctx, port, { tls = {}, receive_buffer = 65536 })
    c:send(http.request '/')
    local status, headers = c:read_head()
    assert.equal(200, status)
    assert.equal(tostring(#contents), headers['content-length'])
    assert.is_true(read_slowly(c, #contents) == contents)
    c:send(http.request('/', { headers = { 'Connection: close' } }))
    local _, _, body = c:read_response()
    assert.is_true(body == contents)
    c:expect_end()
  end)

  it('answers requests that were taken from the kernel while a file was sent', function()
    local path = http.file(http.pattern(megabyte))
    local ctx, port = http.context(function(ws) ws:serve_http_file(path, 'text/plain') end, tls.config())
    local c = client.connect(ctx, port, { tls = {}, receive_buffer = 65536 })
    for _ = 1, 5 do
      c:send_some(http.request '/') -- a record of its own
    end
    for _ = 1, 5 do
      assert.equal(200, (c:read_response()))
    end
  end)

  it('answers requests that were taken from the kernel while an answer was deferred', function()
    local waiting
    local ctx, port = http.context(function(ws)
      ws:defer()
      waiting = ws
    end, tls.config())
    local c = client.connect(ctx, port, { tls = {} })
    for _ = 1, 3 do
      c:send_some(http.request '/')
    end
    for i = 1, 3 do
      loop.serve_until(ctx, function() return waiting end, 'request ' .. i)
      local ws = waiting
      waiting = nil
      ws:serve_http_file('/none', 'text/plain')
      assert.equal(404, (c:read_response()))
    end
  end)
end)

describe('the end of a connection over TLS', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local function open(config)
    local state = {}
    local c, ws, ctx, port = pair.open(tls.config(config), function(ws)
      ws:on_closed(function(_, code, reason)
        state.code, state.reason, state.count = code, reason, (state.count or 0) + 1
      end)
    end, { tls = {} })
    return c, state, ws, ctx, port
  end

  local function expect_closed(ctx, state, code)
    loop.serve_until(ctx, function() return state.code end, 'on_closed')
    assert.equal(code, state.code)
    assert.equal(1, state.count)
  end

  -- expect_end() takes 'closed' for an answer only, which is close_notify here.
  it('is said by TLS, too: by close', function()
    local c, state, ws, ctx = open()
    ws:close(4000, 'enough')
    expect_closed(ctx, state, 4000)
    c:expect_close(4000, 'enough')
    c:send_close(4000)
    c:expect_end()
  end)

  it('is said by TLS, too: after a Close frame of the client', function()
    local c, state, _, ctx = open()
    c:finish(1000)
    expect_closed(ctx, state, 1000)
  end)

  it('is said by TLS, too: by terminate', function()
    local c, state, ws, ctx = open()
    ws:terminate()
    expect_closed(ctx, state, 1006)
    c:expect_end()
  end)

  it('is said by TLS, too: by destroy', function()
    local c, state, ws, ctx, port = open()
    local half = client.connect({}, port)
    half:send '\22\3\1'
    client.connect(ctx, port, { tls = {} })
    ws:write 'last'
    ctx:destroy()
    expect_closed(ctx, state, 1001)
    c:expect_text 'last'
    c:expect_close(1001)
    c:expect_end()
    half:read_all()
  end)

  it('is said by TLS, too: by destroy in a callback', function()
    local c, state, ws, ctx, port = open()
    local other = client.open(ctx, port, { protocol = 'p', tls = {} })
    ws:on_receive(function() ctx:destroy() end)
    c:text(('x'):rep(40000))
    loop.serve_until(ctx, function() return state.count == 2 end, 'on_closed of both')
    assert.equal(1001, state.code)
    for _, each in ipairs { c, other } do
      each:expect_close(1001)
      each:expect_end()
    end
  end)

  it('is a loss without a Close frame, whether or not TLS was told', function()
    for _, is_told in ipairs { true, false } do
      local c, state, _, ctx = open()
      if is_told then
        c:close()
      else
        c:shutdown()
      end
      expect_closed(ctx, state, 1006)
    end
  end)

  it('is a loss after a reset', function()
    local c, state, _, ctx = open()
    c:reset()
    expect_closed(ctx, state, 1006)
  end)

  it('comes with bytes that are no TLS', function()
    for _, bytes in ipairs { 'GET / HTTP/1.1\r\n\r\n', '\23\3\3\0\5xxxxx', '\22\3\3\0\5xxxxx', '\21\3\3\0\2\2\40',
      ('\255'):rep(70000) } do
      local c, state, _, ctx, port = open()
      local other = client.open(ctx, port, { protocol = 'p', tls = {} })
      c.sock:beneath(function(plain) plain:send(bytes) end)
      expect_closed(ctx, state, 1006)
      other:expect_nothing()
    end
  end)

  it('comes with bytes that are no TLS also while output waits', function()
    local c, state, ws, ctx = open()
    ws:write(('x'):rep(8 * megabyte))
    c.sock:beneath(function(plain) plain:send 'no TLS' end)
    expect_closed(ctx, state, 1006)
    assert.equal(-1, (ws:write 'x'))
  end)

  it('comes with a client that says so and is gone while output waits for its turn', function()
    local clients, codes = {}, {}
    local ctx, port = pair.context(tls.config(), function(ws)
      ws:on_receive(function()
        ws:broadcast(('x'):rep(8 * megabyte)) -- the turns of the others come first
        clients[4]:close() -- with output that it has not read
      end)
      ws:on_closed(function(_, code) codes[#codes + 1] = code end)
    end)
    for i = 1, 4 do
      clients[i] = client.open(ctx, port, { protocol = 'p', tls = {} })
    end
    clients[4]:text 'go'
    loop.serve_until(ctx, function() return #codes > 0 end)
    assert.same({ 1006 }, codes)
    for i = 1, 3 do
      clients[i]:reset()
    end
  end)

  it('does not come before what the client can still read', function()
    local c, state, ws, ctx = open()
    ws:write(http.pattern(4 * megabyte), 1)
    ws:close(1000)
    expect_closed(ctx, state, 1000)
    expect_slowly(c, client.BINARY, http.pattern(4 * megabyte))
    c:expect_close(1000)
    c:send_close(1000)
    c:expect_end()
  end)
end)
