-- SPDX-License-Identifier: MIT
-- request:defer(): a request for a websocket that is answered later.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local script = require 'spec.support.script'
local tls = require 'spec.support.tls'

describe('a deferred request', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local closed, answered = { nil, 'closed' }, { nil, 'already answered' }

  -- A server that defers every request. Its second and third results: the port, and a list of the requests that wait.
  local function server(config, setup)
    local waiting = {}
    local settings = { on_upgrade = function(request)
      waiting[#waiting + 1] = request
      return request:defer()
    end }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    local ctx, port = pair.context(settings, setup)
    return ctx, port, waiting
  end

  -- A client whose request waits; `options` for client.request() and client.connect(). Returns the client, its
  -- request, and the context. Nobody else refers to the request.
  local function defer(config, setup, options)
    local ctx, port, waiting = server(config, setup)
    options = options or {}
    options.protocol = 'p'
    local c = client.connect(ctx, port, options)
    c:send(client.request(options))
    loop.serve_until(ctx, function() return waiting[1] end, 'the request')
    return c, table.remove(waiting), ctx, port
  end

  local function echo(ws)
    ws:on_receive(function(_, data, type) ws:write(data, type) end)
  end

  local function serve_some(ctx)
    for _ = 1, 5 do
      loop.step(ctx, 0)
    end
  end

  -- Waits until the server has noticed that the client left.
  local function await_loss(ctx, request)
    loop.serve_until(ctx, function() return tostring(request):find 'answered' end, 'the loss to be noticed')
  end

  -- --- Answers ---

  it('becomes a websocket by accept', function()
    local opened
    local c, request, ctx = defer(nil, function(ws)
      opened = ws:request()
      echo(ws)
    end)
    serve_some(ctx)
    assert.is_nil(opened)
    assert.is_false(c:pump())
    assert.is_truthy(tostring(request):find 'waiting')
    assert.same({ true }, { request:accept { ['Set-Cookie'] = 'a=1' } })
    assert.equal(request, opened)
    assert.is_truthy(tostring(request):find 'answered')
    local status, headers = c:read_head()
    assert.equal(101, status)
    assert.equal(client.accept, headers['sec-websocket-accept'])
    assert.equal('a=1', headers['set-cookie'])
    c:text 'hello'
    c:expect_text 'hello'
    c:finish(1000)
    opened = nil
  end)

  it('is refused by reject', function()
    local cases = {
      { 403, 'Forbidden\n' }, { 403, 'Forbidden\n', false }, { 403, 'no', false, 'no' }, { 401, 'Unauthorized\n', 401 },
      { 402, 'pay', 402, { ['X-Price'] = '1' }, 'pay' },
    }
    for _, case in ipairs(cases) do
      local c, request = defer()
      assert.same({ true }, { request:reject(case[3], case[4], case[5]) })
      local status, headers, body = c:read_response()
      assert.equal(case[1], status)
      assert.equal(case[2], body)
      assert.equal('close', headers.connection)
      assert.equal(type(case[4]) == 'table' and '1' or nil, headers['x-price'])
      c:expect_end()
    end
  end)

  it('is answered once', function()
    local c, request, ctx = defer()
    assert.is_true(request:accept())
    assert.same(answered, { request:accept() })
    assert.same(answered, { request:reject() })
    assert.equal(101, (c:read_head()))
    c:finish(1000)
    serve_some(ctx)
    assert.same(answered, { request:reject() })
    c, request = defer()
    assert.is_true(request:reject())
    assert.same(answered, { request:accept() })
    assert.equal(403, (c:read_response()))
  end)

  it('is answered in another callback', function()
    local ctx, port, waiting
    ctx, port, waiting = server(nil, function(ws)
      ws:on_receive(function()
        for i = #waiting, 1, -1 do
          waiting[i]:accept()
        end
        ws:write 'done'
      end)
    end)
    local first = client.connect(ctx, port)
    first:send(client.request { protocol = 'p' })
    loop.serve_until(ctx, function() return #waiting == 1 end)
    waiting[1]:accept()
    first:read_head()
    local others = {}
    for i = 1, 6 do
      others[i] = client.connect(ctx, port)
      others[i]:send(client.request { protocol = 'p' })
    end
    loop.serve_until(ctx, function() return #waiting == 7 end)
    first:text 'now'
    first:expect_text 'done'
    for _, c in ipairs(others) do
      assert.equal(101, (c:read_head()))
      c:expect_nothing()
    end
  end)

  it('keeps to its answer, whatever on_upgrade returns', function()
    for _, value in ipairs { true, false, 'x' } do
      local found
      local ctx, port = pair.context { on_upgrade = function(request)
        found = request
        request:defer()
        return value
      end }
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      loop.serve_until(ctx, function() return found end)
      serve_some(ctx)
      assert.is_true(found:reject(410))
      assert.equal(410, (c:read_response()))
    end
  end)

  it('raises for what cannot be sent, and waits on', function()
    local c, request = defer()
    for _, headers in ipairs { { ['X-A'] = 'a\r\nb' }, { Upgrade = 'x' }, { ['X A'] = 'b' }, 'x' } do
      assert.has_error(function() request:accept(headers) end)
      if headers ~= 'x' then assert.has_error(function() request:reject(403, headers) end) end
    end
    for _, status in ipairs { 101, 600, 'x' } do
      assert.error_matches(function() request:reject(status) end, 'request:reject: a refusal has a status')
    end
    assert.has_error(function() request:reject(403, {}, {}) end)
    assert.is_true(request:accept())
    assert.equal(101, (c:read_head()))
    c:expect_nothing()
  end)

  it('works over TLS', function()
    for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
      local c, request, ctx = defer(tls.config(), echo,
        { tls = { protocol = version }, first = client.frame(client.TEXT, 'early') })
      c:text 'later'
      serve_some(ctx)
      assert.is_true(request:accept())
      assert.equal(101, (c:read_head()))
      c:expect_text 'early'
      c:expect_text 'later'
      c:finish(1000)
    end
  end)

  -- --- What comes meanwhile ---

  it('keeps what comes early, in order', function()
    local frames, expected = {}, {}
    for i = 1, 100 do
      expected[i] = ('message %d'):format(i)
      frames[i] = client.frame(client.TEXT, expected[i])
    end
    local c, request, ctx = defer(nil, echo, { first = table.concat(frames, '', 1, 30) })
    c:send(table.concat(frames, '', 31, 60))
    serve_some(ctx)
    c:send(table.concat(frames, '', 61, 80))
    serve_some(ctx)
    assert.is_true(request:accept())
    c:send(table.concat(frames, '', 81))
    assert.equal(101, (c:read_head()))
    for _, text in ipairs(expected) do
      c:expect_text(text)
    end
    c:finish(1000)
  end)

  it('keeps a part of a frame', function()
    local frame = client.frame(client.TEXT, 'in two parts')
    local c, request, ctx = defer(nil, echo, { first = frame:sub(1, 4) })
    request:accept()
    assert.equal(101, (c:read_head()))
    serve_some(ctx)
    c:send(frame:sub(5))
    c:expect_text 'in two parts'
  end)

  it('takes no more than it can keep', function()
    local data = ('x'):rep(2 ^ 24 - 1)
    local c, request, ctx = defer({ max_message_size = 2 ^ 24, max_backpressure = 2 ^ 25 }, echo)
    local frame = client.frame(client.TEXT, data)
    local sent, idle = 0, 0
    -- Until nothing is taken any more.
    while idle < 20 do
      local count = assert(c:send_some(frame, sent + 1))
      sent, idle = sent + count, count > 0 and 0 or idle + 1
      loop.step(ctx, count > 0 and 0 or 2)
    end
    assert.is_true(sent < #frame)
    request:accept()
    assert.equal(101, (c:read_head()))
    c:send(frame:sub(sent + 1))
    c:expect_text(data)
  end)

  -- --- Ends ---

  it('notices a client that leaves', function()
    for _, how in ipairs { 'close', 'reset', 'shutdown' } do
      for _, first in ipairs { '', client.frame(client.TEXT, 'x') } do
        local c, request, ctx = defer(nil, function() error 'opened' end, { first = first })
        c[how](c)
        await_loss(ctx, request)
        assert.same(closed, { request:accept() })
        assert.same(closed, { request:reject() })
        assert.equal('/', request.path)
      end
    end
  end)

  it('notices a client that leaves over TLS', function()
    local c, request, ctx = defer(tls.config(), nil, { tls = {} })
    c:close()
    await_loss(ctx, request)
    assert.same(closed, { request:accept() })
  end)

  it('is refused when nobody refers to it any more', function()
    local c, request, ctx = defer()
    assert.is_truthy(request)
    request = nil
    leaks.collect()
    loop.step(ctx, 0)
    local status, _, body = c:read_response()
    assert.equal(503, status)
    assert.equal('Service Unavailable\n', body)
    c:expect_end()
    assert.equal(1, loop.count_objects())
  end)

  it('is refused in upgrade_timeout', function()
    local c, request = defer { upgrade_timeout = 0.02, handshake_timeout = 1000 }
    assert.equal(503, (c:read_response()))
    c:expect_end()
    assert.same(answered, { request:accept() })
  end)

  it('may take longer than the handshake', function()
    local c, request, ctx = defer { upgrade_timeout = 1000, handshake_timeout = 0.05 }
    local started = require('socket').gettime()
    loop.serve_until(ctx, function() return require('socket').gettime() > started + 0.2 end)
    assert.is_true(request:accept())
    assert.equal(101, (c:read_head()))
    c:expect_nothing()
  end)

  it('may take longer behind another answer', function()
    local ctx, port, waiting = server({ upgrade_timeout = 0.05, handshake_timeout = 1000,
      on_http = function(ws) ws:respond(200, nil, 'first') end })
    local c = client.connect(ctx, port)
    c:send(http.request '/' .. client.request { protocol = 'p' })
    assert.equal(200, (c:read_response()))
    assert.equal(503, (c:read_response()))
    assert.equal(1, #waiting)
  end)

  it('has upgrade_timeout checked', function()
    for _, value in ipairs { 0, -1, 'x', true } do
      local ok, message = pcall(pair.context, { upgrade_timeout = value })
      assert.is_false(ok)
      assert.is_truthy(message:find("option 'upgrade_timeout' is ", 1, true))
    end
  end)

  it('ends with the context', function()
    local c, request, ctx = defer()
    ctx:destroy()
    c:expect_loss()
    assert.same(closed, { request:accept() })
    assert.same(closed, { request:reject() })
  end)

  it('keeps the context, but not for ever', function()
    local c, request, ctx = defer()
    c.ctx, ctx = {}, nil
    assert.is_nil(ctx)
    leaks.collect()
    assert.equal(2, loop.count_objects())
    assert.is_true(request:accept())
    assert.equal(101, (c:read_head()))
    leaks.collect()
    assert.equal(1, loop.count_objects()) -- the request
    c:expect_close(1001)
  end)

  it('that a failing function has kept does not keep the context', function()
    local kept
    local c
    do
      local ctx, port = pair.context({ on_upgrade = function(request)
        kept = request
        error 'on purpose'
      end, on_error = function() end }, function() end)
      c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      assert.equal(500, (c:read_response()))
      c.ctx = {}
    end
    leaks.collect()
    assert.equal(1, loop.count_objects()) -- the request
    assert.equal('/', kept.path)
  end)

  it('is collected with the context', function()
    local c = defer()
    c.ctx = {}
    leaks.collect()
    assert.equal(0, loop.count_objects())
    c:expect_loss()
  end)

  it('is collected in a cycle', function()
    local c
    do
      local request
      local setup = function() return request end
      c, request = defer(nil, setup)
      request.headers.cycle = function() return request, setup end
    end
    c.ctx = {}
    leaks.collect()
    assert.equal(0, loop.count_objects())
  end)

  it('may end the context when it is answered', function()
    local ctx
    local c, request
    c, request, ctx = defer(nil, function() ctx:destroy() end)
    request:accept()
    assert.equal(101, (c:read_head()))
    c:expect_close(1001)
  end)

  it('may be finalized while it is answered', function()
    local request
    local c
    c, request = defer(nil, function() debug.getmetatable(request).__gc(request) end)
    assert.is_true(request:accept())
    assert.equal(101, (c:read_head()))
    c:expect_nothing()
  end)

  it('reports an error of the function of the protocol', function()
    local message
    local c, request = defer({ on_error = function(text) message = text end }, function() error 'oops' end)
    assert.is_true(request:accept())
    assert.equal(101, (c:read_head()))
    c:expect_close(1011)
    assert.is_truthy(message:find('oops', 1, true))
  end)

  it('goes to the process that is forked', function()
    assert.equal('closed\nforked\n', script.run [[
      local client = require 'spec.support.client'
      local loop = require 'spec.support.loop'
      local pair = require 'spec.support.pair'
      local waiting = {}
      local ctx, port = pair.context({ on_upgrade = function(request)
        if request.path == '/answer' then
          waiting[1]:accept()
          return 410
        end
        waiting[1] = request
        return request:defer()
      end }, function(ws) ws:write 'forked' end)
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      loop.serve_until(ctx, function() return waiting[1] end)
      assert(ctx:fork_service_loop() == 0)
      print((select(2, waiting[1]:accept())))
      c.ctx = {}
      local d = client.connect({}, port)
      assert(d:handshake { protocol = 'p', path = '/answer' } == 410)
      assert(c:read_head() == 101)
      print(c:expect_text())
      ctx:destroy()
    ]])
  end)
end)
