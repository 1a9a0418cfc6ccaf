-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'

local is_slow = loop.time_factor > 1

describe('on_http', function()
  leaks.check_each(before_each, after_each)
  after_each(http.remove_files)

  it('is given the raw uri with its query', function()
    local ctx, port, uris = http.word_server()
    local c = client.connect(ctx, port)
    local asked = { '/', '/?', '/%7Eme/a%20b?x=%26&y=1;z', '//double//', '/../..', '/a?b?c', '*',
      'http://host/path?query', '/' .. ('x'):rep(5000) }
    for i, uri in ipairs(asked) do
      c:send(http.request(uri, { method = uri == '*' and 'OPTIONS' or 'GET' }))
      assert.equal(uri:match '^/%w' and 200 or 404, (c:read_response()))
      assert.equal(uri, uris[i])
    end
  end)

  it('is given websocket and uri, nothing else', function()
    local count
    local c = http.open(function(...) count = select('#', ...) end)
    c:send(http.request '/')
    c:read_response()
    assert.equal(2, count)
  end)

  it('is given the same websocket for all requests of a connection', function()
    local by_socket, total = {}, 0
    local ctx, port = http.context(function(ws)
      assert(tostring(ws):find('http', 1, true))
      by_socket[ws] = (by_socket[ws] or 0) + 1
      total = total + 1
    end)
    local one, other = client.connect(ctx, port), client.connect(ctx, port)
    for _ = 1, 3 do
      one:send(http.request '/')
      one:read_response()
    end
    other:send(http.request '/')
    other:read_response()
    local counts = {}
    for _, count in pairs(by_socket) do
      counts[#counts + 1] = count
    end
    table.sort(counts)
    assert.same({ 1, 3 }, counts)
    assert.equal(4, total)
    by_socket = {}
  end)

  it('knows the peer and the descriptor', function()
    local name, ip, fd
    local c = http.open(function(ws)
      name, ip = ws:get_peer_addresses()
      fd = ws:get_socket_fd()
    end)
    c:send(http.request '/')
    c:read_response()
    assert.equal('', name)
    assert.equal('127.0.0.1', ip)
    assert.is_true(fd > 2)
  end)

  -- --- Nothing there ---

  it('may be left out: 404', function()
    local c = http.open(nil)
    for _ = 1, 2 do
      c:send(http.request '/')
      local status, headers, body = c:read_response()
      assert.equal(404, status)
      assert.is_nil(headers.connection)
      assert.is_truthy(body:find '%w')
    end
  end)

  it('may answer nothing: 404', function()
    local c = http.open(function() return 'ignored' end)
    for _, method in ipairs { 'GET', 'POST', 'DELETE', 'BREW' } do
      c:send(http.request('/', { method = method, body = 'x' }))
      local status, headers, body = c:read_response()
      assert.equal(404, status)
      assert.is_truthy(headers['content-type']:find('text/plain', 1, true))
      assert.is_truthy(headers.date:match '^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$')
      assert.is_truthy(body:find '%w')
    end
  end)

  -- --- How long a connection lives ---

  it('keeps HTTP/1.1 connections', function()
    local ctx, port = http.word_server()
    local c = client.connect(ctx, port)
    for _, headers in ipairs { {}, { 'Connection: keep-alive' }, { 'Connection: x' }, { 'Connection:' } } do
      c:send(http.request('/word', { headers = headers }))
      assert.is_nil(http.expect_word(c, 'word').connection)
    end
  end)

  it('closes HTTP/1.1 connections when asked to', function()
    local ctx, port = http.word_server()
    for _, value in ipairs { 'close', 'Close', 'x, CLOSE ,y', 'keep-alive, close' } do
      for word, status in pairs { ['/word'] = 200, ['/'] = 404 } do
        local c = client.connect(ctx, port)
        c:send(http.request(word, { headers = { 'Connection: ' .. value } }) .. http.request '/not')
        local actual, headers = c:read_response()
        assert.equal(status, actual)
        assert.equal('close', headers.connection)
        c:expect_end()
        c:close()
      end
    end
  end)

  it('closes HTTP/1.0 connections', function()
    local ctx, port = http.word_server()
    for word, status in pairs { ['/word'] = 200, ['/'] = 404 } do
      for _, host in ipairs { true, false } do
        local c = client.connect(ctx, port)
        c:send(http.request(word, { version = 'HTTP/1.0', host = host }))
        local actual, headers = c:read_response()
        assert.equal(status, actual)
        assert.equal('close', headers.connection)
        c:expect_end()
        c:close()
      end
    end
  end)

  it('keeps HTTP/1.0 connections when asked to', function()
    local ctx, port = http.word_server()
    local c = client.connect(ctx, port)
    for word, status in pairs { ['/word'] = 200, ['/'] = 404 } do
      c:send(http.request(word, { version = 'HTTP/1.0', headers = { 'Connection: Keep-Alive' } }))
      local actual, headers = c:read_response()
      assert.equal(status, actual)
      assert.equal('keep-alive', headers.connection)
    end
    http.expect_alive(c)
  end)

  it('serves on when a client ends its side', function()
    local ctx, port = http.word_server()
    for _, options in ipairs { {}, { headers = { 'Connection: close' } } } do
      local c = client.connect(ctx, port)
      c:send(http.request '/one' .. http.request('/two', options))
      c:shutdown()
      http.expect_word(c, 'one')
      http.expect_word(c, 'two')
      c:expect_end()
    end
  end)

  -- --- HEAD ---

  it('answers HEAD without a body', function()
    local ctx, port = http.word_server()
    local c = client.connect(ctx, port)
    for _ = 1, 2 do
      c:send(http.request('/word', { method = 'HEAD' }) .. http.request('/', { method = 'HEAD' }))
      local status, headers = c:read_response(true)
      assert.equal(200, status)
      assert.equal('4', headers['content-length'])
      status, headers = c:read_response(true)
      assert.equal(404, status)
      assert.is_true(tonumber(headers['content-length']) > 0)
    end
    http.expect_alive(c)
  end)

  -- --- Pipelining ---

  -- That many requests and the words of their answers; every third is for nothing.
  local function pipeline(count)
    local requests, words = {}, {}
    for i = 1, count do
      local word = i % 3 == 0 and '' or 'word' .. i % 7
      requests[i] = http.request('/' .. word .. '?' .. i, { body = i % 5 == 0 and 'body' or nil })
      words[i] = word
    end
    return table.concat(requests), words
  end

  local function expect_pipeline(c, words)
    for _, word in ipairs(words) do
      if word == '' then
        assert.equal(404, (c:read_response()))
      else
        http.expect_word(c, word)
      end
    end
  end

  it('answers hundreds of requests of one segment in order', function()
    local ctx, port, uris = http.word_server()
    local c = client.connect(ctx, port)
    local bytes, words = pipeline(is_slow and 150 or 700)
    assert.equal(#bytes, c:send_some(bytes))
    expect_pipeline(c, words)
    for i, word in ipairs(words) do
      assert.equal('/' .. word .. '?' .. i, uris[i])
    end
    http.expect_alive(c)
  end)

  it('answers requests split anywhere', function()
    local ctx, port = http.word_server()
    local bytes = http.request '/one' .. http.request('/two', { method = 'GET', body = 'body' }) .. '\r\n' ..
      http.request('/three', { chunks = { 'a', ('b'):rep(20) } }) .. http.request '/'
    local c = client.connect(ctx, port)
    for position = 1, #bytes, is_slow and 11 or 1 do
      c:send(bytes:sub(1, position))
      loop.step(ctx)
      c:send(bytes:sub(position + 1))
      expect_pipeline(c, { 'one', 'two', 'three', '' })
    end
    c:send_split(bytes)
    expect_pipeline(c, { 'one', 'two', 'three', '' })
  end)

  it('reads no more requests than the client takes answers', function()
    local path, asked = http.file(http.pattern(65536)), 0
    local c, ctx = http.open(function(ws)
      asked = asked + 1
      ws:serve_http_file(path, 'text/plain')
    end)
    local count = is_slow and 300 or 600
    c:send(http.request '/':rep(count))
    local before
    repeat
      before = asked
      for _ = 1, 10 do
        loop.step(ctx)
      end
    until asked == before
    assert.is_true(asked < count)
    for _ = 1, count do
      http.expect_word(c, http.pattern(65536))
    end
    assert.equal(count, asked)
  end)

  it('keeps few answers waiting', function()
    local most, asked = 0, 0
    local answer = ('x'):rep(32768)
    local ctx, port = http.context(function(ws)
      asked = asked + 1
      most = math.max(most, ws:buffered_amount())
      ws:respond(200, nil, answer)
    end)
    local c = client.connect(ctx, port, { receive_buffer = 65536 })
    local count = is_slow and 300 or 600
    c:send(http.request '/':rep(count))
    local before
    repeat
      before = asked
      for _ = 1, 10 do
        loop.step(ctx)
      end
    until asked == before
    assert.is_true(asked < count)
    for _ = 1, count do
      assert.is_true(select(3, c:read_response()) == answer)
    end
    assert.equal(count, asked)
    assert.is_true(most < 65536)
  end)

  -- --- Contents ---

  it('comes after the content, which is passed over', function()
    local ctx, port, uris = http.word_server()
    local c = client.connect(ctx, port)
    local bytes = http.request('/one', { method = 'GET', body = http.request '/not' })
    c:send(bytes:sub(1, -2))
    client.open(ctx, port, 'p') -- so that all of it has been looked at
    assert.equal(0, #uris)
    c:send(bytes:sub(-1))
    http.expect_word(c, 'one')
    c:send(http.request('/two', { method = 'GET', body = '' }))
    http.expect_word(c, 'two')
    assert.same({ '/one', '/two' }, uris)
  end)

  it('comes after chunked content, which is passed over', function()
    local ctx, port, uris = http.word_server()
    local c = client.connect(ctx, port)
    local chunks = { 'hello', http.request '/not', '0\r\n\r\n', ('x'):rep(300) }
    local bytes = http.request('/one', { chunks = chunks })
    c:send(bytes:sub(1, -2))
    client.open(ctx, port, 'p')
    assert.equal(0, #uris)
    c:send(bytes:sub(-1))
    http.expect_word(c, 'one')
    local head = 'GET /two HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    c:send(head .. '5;name=value;other="a b"\r\nhello\r\n00A\r\n0123456789\r\n' ..
      '000\r\nTrailer: x\r\nUpgrade: websocket\r\n\r\n')
    http.expect_word(c, 'two')
    c:send(head .. '0\r\n\r\n')
    http.expect_word(c, 'two')
    http.expect_alive(c)
    assert.same({ '/one', '/two', '/two', '/alive' }, uris)
  end)

  it('takes a megabyte of content and no more', function()
    local ctx, port = http.word_server()
    local c = client.connect(ctx, port)
    local megabyte = 1024 * 1024
    c:send(http.request('/word', { method = 'GET', body = ('x'):rep(megabyte) }))
    http.expect_word(c, 'word')
    -- Refused by its announcement; and by what has come.
    for _, length in ipairs { '1048577', '9999999999999999' } do
      http.expect_refusal(ctx, port, http.request('/', { headers = { 'Content-Length: ' .. length } }), 413)
    end
    http.expect_refusal(ctx, port, http.request('/', { chunks = { ('x'):rep(megabyte), 'x' } }), 413)
    -- Who is sending gets the answer.
    http.expect_refusal(ctx, port, http.request('/', { body = ('x'):rep(4 * megabyte) }), 413)
  end)

  it('says 100 to who expects it', function()
    local ctx, port = http.word_server()
    for _, options in ipairs { { method = 'GET', body = 'body' }, { chunks = { 'body' } } } do
      local c = client.connect(ctx, port)
      options.headers = { 'Expect: 100-Continue' }
      local head, body = http.request('/word', options):match '^(.-\r\n\r\n)(.*)$'
      c:send(http.request '/' .. head)
      assert.equal(404, (c:read_response()))
      assert.equal('HTTP/1.1 100 Continue\r\n\r\n', c:read_until '\r\n\r\n')
      c:send(body)
      http.expect_word(c, 'word')
      http.expect_alive(c)
    end
  end)

  it('does not say 100 when there is nothing to come', function()
    local ctx, port = http.word_server()
    local c = client.connect(ctx, port)
    local headers = { 'Expect: 100-continue' }
    c:send(http.request('/word', { headers = headers }))
    http.expect_word(c, 'word')
    c:send(http.request('/word', { method = 'GET', headers = headers, body = 'sent already' }))
    http.expect_word(c, 'word')
    c:send(http.request('/word', { version = 'HTTP/1.0', headers = headers }))
    http.expect_word(c, 'word')
    http.expect_refusal(ctx, port, http.request('/', { headers = { 'Expect: miracles' } }), 417)
  end)

  -- A server whose on_http runs `setup(ws, got)`, and a connection that asks it once and is a websocket then.
  local function upgrade_after(setup)
    local got = {}
    local c, ctx = http.open(function(ws)
      setup(ws, got)
      ws:respond(200, {}, '')
    end)
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    assert.equal(101, (c:handshake { protocol = 'p' }))
    return c, got, ctx
  end

  it('sets callbacks that the websocket has which the connection becomes', function()
    local c, got, ctx = upgrade_after(function(ws, list)
      ws:on_receive_chunk(function(_, piece, is_last) list[#list + 1] = piece .. tostring(is_last) end)
    end)
    c:text 'one'
    loop.serve_until(ctx, function() return got[1] end)
    assert.equal('onetrue', table.concat(got))
  end)

  it('sets callbacks of which the last one counts', function()
    local c, got, ctx = upgrade_after(function(ws, list)
      ws:on_receive_chunk(function() list[#list + 1] = 'chunk' end)
      ws:on_receive(function(_, data) list[#list + 1] = data end)
    end)
    c:text 'one'
    loop.serve_until(ctx, function() return got[1] end)
    assert.same({ 'one' }, got)
  end)

  it('switches reading off for the websocket that the connection becomes', function()
    local got, kept = {}, nil
    local c, ctx = http.open(function(ws)
      kept = ws
      ws:on_receive(function(_, data) got[#got + 1] = data end)
      ws:respond(200, {}, '')
    end, { on_upgrade = function()
      assert.equal(0, kept:rx_flow_control(false))
      return true
    end })
    c:send(http.request '/')
    assert.equal(200, (c:read_response()))
    assert.equal(101, (c:handshake { protocol = 'p' }))
    c:text 'one'
    for _ = 1, 5 do
      loop.step(ctx)
    end
    assert.same({}, got)
    kept:rx_flow_control(true)
    loop.serve_until(ctx, function() return got[1] end)
    assert.same({ 'one' }, got)
  end)
end)
