-- SPDX-License-Identifier: MIT
-- context:stats and context:metrics.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local remote = require 'spec.support.remote'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

describe('stats', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)
  teardown(tls.remove_folders)

  local function wait_for(ctx, name, value)
    loop.serve_until(ctx, function() return ctx:stats()[name] == value end, name .. ' ' .. value)
  end

  it('are zero in the beginning', function()
    local ctx = loop.context { protocols = { p = function() end, q = function() end } }
    local stats = ctx:stats()
    for name, value in pairs(stats) do
      if type(value) == 'number' then assert.equal(0, value, name) end
    end
    assert.same({ p = { open = 0, opened = 0 }, q = { open = 0, opened = 0 } }, stats.protocols)
    for reason, count in pairs(stats.refused) do
      assert.equal(0, count, reason)
    end
    for code, count in pairs(stats.closed) do
      assert.equal(0, count, code)
    end
  end)

  it('count connections and websockets', function()
    local ctx, port = loop.context { protocols = { p = function() end, q = function() end }, on_http = function(ws)
      ws:respond(200, nil, 'x')
    end }
    local clients = { client.open(ctx, port, 'p'), client.open(ctx, port, 'p'), client.open(ctx, port, 'q') }
    local c = client.connect(ctx, port)
    for _ = 1, 3 do
      c:send(http.request '/')
      c:read_response()
    end
    local stats = ctx:stats()
    assert.equal(4, stats.open_connections)
    assert.equal(4, stats.connections)
    assert.equal(3, stats.http_requests)
    assert.same({ p = { open = 2, opened = 2 }, q = { open = 1, opened = 1 } }, stats.protocols)
    clients[1]:finish(1000)
    c:close()
    wait_for(ctx, 'open_connections', 2)
    stats = ctx:stats()
    assert.equal(4, stats.connections)
    assert.same({ p = { open = 1, opened = 2 }, q = { open = 1, opened = 1 } }, stats.protocols)
  end)

  it('count messages and bytes', function()
    local c, ws, ctx = pair.open(nil, function(ws)
      ws:on_receive(function(_, data, type) ws:write(data, type) end)
    end)
    local before = ctx:stats()
    assert.is_true(before.received_bytes > 100 and before.sent_bytes > 100) -- the handshake
    c:send(client.frame(client.TEXT, 'one') .. client.frame(client.BINARY, 'two'))
    c:send(client.frame(client.TEXT, 'thr', { fin = false }) .. client.frame(client.CONTINUATION, 'ee'))
    c:expect_text 'one'
    c:expect_binary 'two'
    c:expect_text 'three'
    c:expect_nothing() -- a ping is no message
    local after = ctx:stats()
    assert.equal(3, after.messages_received)
    assert.equal(3, after.messages_sent)
    local ping = 6 + #'nothing before this'
    assert.equal(4 * 6 + 3 + 3 + 3 + 2 + ping, after.received_bytes - before.received_bytes)
    assert.equal(3 * 2 + 3 + 3 + 5 + ping - 4, after.sent_bytes - before.sent_bytes)
    ws:write('be', websockets.WRITE_TEXT + websockets.WRITE_NO_FIN)
    ws:write('gin', websockets.WRITE_CONTINUATION)
    ws:broadcast 'x'
    ws:subscribe 'a'
    ctx:publish('a', 'y')
    assert.equal(6, ctx:stats().messages_sent)
    ws:on_receive_chunk(function() end)
    c:text(('x'):rep(300000))
    c:text 'y'
    wait_for(ctx, 'messages_received', 5)
  end)

  it('count the messages of one input, and of many clients', function()
    local received = 0
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data)
        received = received + 1
        if data == 'close' then ws:close(4001) end
      end)
    end)
    for _ = 1, 6 do
      local c = client.open(ctx, port, 'p')
      c:send_some(client.frame(client.TEXT, 'x'):rep(10) .. client.frame(client.TEXT, 'close'))
    end
    loop.serve_until(ctx, function() return received == 66 end)
    local stats = ctx:stats()
    assert.equal(66, stats.messages_received)
    assert.equal(6, stats.closed.other)
    assert.equal(0, stats.protocols.p.open)
    assert.equal(6, stats.protocols.p.opened)
  end)

  it('count the same over TLS', function()
    local c, _, ctx = pair.open(tls.config(), function(ws)
      ws:on_receive(function(_, data) ws:write(data) end)
    end, { tls = {} })
    local before = ctx:stats()
    c:text 'hello'
    c:expect_text 'hello'
    local after = ctx:stats()
    assert.equal(11, after.received_bytes - before.received_bytes)
    assert.equal(7, after.sent_bytes - before.sent_bytes)
  end)

  it('count closes by code', function()
    local ctx, port = pair.context(nil, function(ws)
      ws:on_receive(function(_, data) ws:close(tonumber(data)) end)
    end)
    for _, code in ipairs { '1000', '1001', '1001', '3000', '4999' } do
      local c = client.open(ctx, port, 'p')
      c:text(code)
      c:expect_close(tonumber(code))
      c:close()
    end
    client.open(ctx, port, 'p'):finish()
    client.open(ctx, port, 'p'):reset()
    wait_for(ctx, 'open_connections', 0)
    local closed = ctx:stats().closed
    assert.same({ 1, 2, 1, 1, 2 }, { closed[1000], closed[1001], closed[1005], closed[1006], closed.other })
  end)

  it('tell what waits, and what had no room', function()
    local c, ws, ctx = pair.open { max_backpressure = 50000, backpressure_policy = 'drop' }
    local written = 0
    while ws:write(('x'):rep(10000)) == 0 do
      written = written + 1
    end
    ws:subscribe 'a'
    ctx:publish('a', ('y'):rep(10000))
    local stats = ctx:stats()
    assert.equal(2, stats.queue_full)
    assert.equal(written, stats.messages_sent)
    assert.equal(ws:buffered_amount(), stats.queued_bytes)
    assert.is_true(stats.queued_bytes > 0)
    assert.same({ 1, 1 }, { stats.topics, stats.subscriptions })
    for _ = 1, written do
      c:expect_text()
    end
    wait_for(ctx, 'queued_bytes', 0)
  end)

  describe('count refusals:', function()
    -- Sends `request`, and expects a status; then exactly this reason counts one more, and on_refused is told so.
    local function refuse(reason, status, request, config, options)
      local told = {}
      local settings = { on_refused = function(...) told[#told + 1] = { ... } end }
      for name, value in pairs(config or {}) do
        settings[name] = value
      end
      local ctx, port = pair.context(settings)
      local c = client.connect(ctx, port, options)
      if request then c:send(request) end
      if status then
        assert.equal(status, (c:read_response()))
      else
        c:read_all()
      end
      loop.serve_until(ctx, function() return ctx:stats().refused[reason] == 1 end, reason)
      local refused = ctx:stats().refused
      refused[reason] = nil
      for other, count in pairs(refused) do
        assert.equal(0, count, other)
      end
      loop.serve_until(ctx, function() return told[1] end, 'on_refused')
      assert.equal(1, #told)
      assert.equal(2, #told[1])
      assert.equal(reason, told[1][1])
      assert.equal('127.0.0.1', told[1][2].address)
      assert.equal(status, told[1][2].status)
      assert.equal(status and 'string' or 'nil', type(told[1][2].message))
    end

    it('malformed HTTP', function() refuse('bad_request', 400, 'GARBAGE\r\n\r\n') end)
    it('too large a head', function()
      refuse('too_large', 431, 'GET / HTTP/1.1\r\nHost: x\r\nX: ' .. ('x'):rep(10000) .. '\r\n\r\n')
    end)
    it('a request that does not end', function()
      refuse('timeout', 408, 'GET / HT', { handshake_timeout = 0.02 })
    end)
    it('a malformed handshake', function()
      refuse('handshake', 400, client.request { headers = { ['Sec-WebSocket-Key'] = 'x' } })
    end)
    it('another version', function()
      refuse('version', 426, client.request { headers = { ['Sec-WebSocket-Version'] = '8' } })
    end)
    it('a subprotocol that is not served', function()
      refuse('subprotocol', 400, client.request { protocol = 'other' })
    end)
    it('a page of another origin', function()
      refuse('origin', 403, client.request { protocol = 'p', headers = { Origin = 'https://example.com' } },
        { origins = { 'https://example.org' } })
    end)
    it('a proxy that says nothing of its client, or contradicts itself', function()
      refuse('bad_request', 400, 'GET / HTTP/1.1\r\n', { trusted_proxies = { '127.0.0.1' }, proxy_protocol = true })
      local headers = { 'X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.2' }
      refuse('bad_request', 400, http.request('/', { headers = headers }), { trusted_proxies = { '127.0.0.1' } })
    end)
    it('by on_upgrade', function()
      refuse('upgrade', 403, client.request { protocol = 'p' }, { on_upgrade = function() return false end })
    end)
    it('HTTP where TLS is spoken', function()
      refuse('plain_text', 400, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', tls.config())
    end)
    it('a TLS handshake that fails', function()
      refuse('tls', nil, '\22\3\1\0\5hello', tls.config())
    end)
    it('a TLS handshake that does not end', function()
      refuse('tls', nil, '\22\3\1\2\0\1\0', tls.config { handshake_timeout = 0.02 })
    end)

    it('connections over the limit, in all and of one address', function()
      for option, reason in pairs { max_connections = 'connections',
        max_connections_per_ip = 'connections_of_address' } do
        for _, config in ipairs { {}, tls.config() } do
          config[option] = 1
          local ctx, port = pair.context(config)
          local first, second = client.connect(ctx, port), client.connect(ctx, port)
          second:read_all()
          assert.equal(1, ctx:stats().refused[reason])
          first:close()
          ctx:destroy()
        end
      end
    end)
  end)

  it('are made into a text for Prometheus', function()
    local ctx, port = loop.context { protocols = { p = function() end, ["q!#$%&'*+.^_`|~"] = function() end } }
    client.open(ctx, port, 'p')
    local text = ctx:metrics()
    local kinds, samples, helped = {}, {}, {}
    for line in text:gmatch '([^\n]*)\n' do
      local help = line:match '^# HELP ([%l_]+) %u[^\\]*%.$'
      local name, kind = line:match '^# TYPE ([%l_]+) (%l+)$'
      local sample, labels, value = line:match '^([%l_]+)(%b{}) (%d+)$'
      if not sample then sample, value = line:match '^([%l_]+) (%d+)$' end
      assert.is_truthy(help or name or sample, line)
      if help then helped[help] = true end
      if name then
        assert.is_true(helped[name] and not kinds[name], line)
        assert.equal(kind == 'counter', name:find '_total$' ~= nil, line)
        kinds[name] = kind
      end
      if sample then
        assert.is_string(kinds[sample], line)
        assert.is_nil(samples[sample .. (labels or '')], line)
        samples[sample .. (labels or '')] = tonumber(value)
      end
    end
    assert.equal(1, samples['lua_websockets_open_websockets{protocol="p"}'])
    assert.equal(0, samples["lua_websockets_open_websockets{protocol=\"q!#$%&'*+.^_`|~\"}"])
    assert.equal(0, samples['lua_websockets_refused_total{reason="bad_request"}'])
    assert.equal(0, samples['lua_websockets_closed_total{code="1000"}'])
    assert.equal(1, samples.lua_websockets_connections_total)
    -- They tell the same.
    local stats = ctx:stats()
    for _, name in ipairs { 'received_bytes', 'sent_bytes', 'messages_received', 'messages_sent', 'http_requests',
      'queue_full', 'connections' } do
      assert.equal(stats[name], samples['lua_websockets_' .. name .. '_total'], name)
    end
    for _, name in ipairs { 'open_connections', 'queued_bytes', 'topics', 'subscriptions' } do
      assert.equal(stats[name], samples['lua_websockets_' .. name], name)
    end
  end)

  it('can be served by on_http', function()
    local ctx, port
    ctx, port = loop.context { protocols = { p = function() end }, on_http = function(ws)
      ws:respond(200, { ['Content-Type'] = 'text/plain; version=0.0.4' }, ctx:metrics())
    end }
    local c = client.connect(ctx, port)
    c:send(http.request '/metrics')
    local status, _, body = c:read_response()
    assert.equal(200, status)
    assert.is_truthy(body:find 'lua_websockets_http_requests_total 1\n')
  end)

  it('are those of a context, while it is there', function()
    local ctx, port = pair.context()
    client.open(ctx, port, 'p')
    local other = pair.context()
    assert.equal(1, ctx:stats().connections)
    assert.equal(0, other:stats().connections)
    ctx:destroy()
    assert.error_matches(function() ctx:stats() end, 'websocket context destroyed')
    assert.error_matches(function() ctx:metrics() end, 'websocket context destroyed')
  end)

  it('are those of the process that serves', function()
    local server = remote.start()
    server:call [[
      local websockets = require 'websockets'
      ctx = websockets.context { listen = { '127.0.0.1:0' }, protocols = { p = function() end } }
      assert(ctx:fork_service_loop() == 0)]]
    for _, method in ipairs { 'stats', 'metrics' } do
      local ok, why = server:call('return pcall(ctx.%s, ctx)', method)
      assert.is_false(ok)
      assert.is_truthy(why:find('websocket fork_service_loop was called already', 1, true))
    end
    server:close()
  end)
end)
