-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local websockets = require 'websockets'

local HTTP = websockets.WRITE_HTTP
local is_slow = loop.time_factor > 1

describe('on_http', function()
  leaks.check_each(before_each, after_each)
  after_each(http.remove_files)

  -- A server that serves a file whose content is the word behind the slash. The third result: what it was asked
  -- for.
  local function word_server(config)
    local files, uris = {}, {}
    local ctx, port = http.context(function(ws, uri)
      uris[#uris + 1] = uri
      local word = uri:match '^/(%w+)'
      if not word then return end
      files[word] = files[word] or http.file(word)
      ws:serve_http_file(files[word], 'text/plain')
    end, config)
    return ctx, port, uris
  end

  local function expect_word(c, word)
    local status, headers, body = c:read_response()
    assert.equal(200, status)
    assert.equal(word, body)
    return headers
  end

  -- A connection that goes on.
  local function expect_alive(c)
    c:send(http.request '/alive')
    expect_word(c, 'alive')
  end

  it('is given the raw uri with its query', function()
    local ctx, port, uris = word_server()
    local c = client.connect(ctx, port)
    local asked = { '/', '/?', '/%7Eme/a%20b?x=%26&y=1;z#', '//double//', '/../..', '/a?b?c', '*',
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
    local ctx, port = word_server()
    local c = client.connect(ctx, port)
    for _, headers in ipairs { {}, { 'Connection: keep-alive' }, { 'Connection: x' }, { 'Connection:' } } do
      c:send(http.request('/word', { headers = headers }))
      assert.is_nil(expect_word(c, 'word').connection)
    end
  end)

  it('closes HTTP/1.1 connections when asked to', function()
    local ctx, port = word_server()
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
    local ctx, port = word_server()
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
    local ctx, port = word_server()
    local c = client.connect(ctx, port)
    for word, status in pairs { ['/word'] = 200, ['/'] = 404 } do
      c:send(http.request(word, { version = 'HTTP/1.0', headers = { 'Connection: Keep-Alive' } }))
      local actual, headers = c:read_response()
      assert.equal(status, actual)
      assert.equal('keep-alive', headers.connection)
    end
    expect_alive(c)
  end)

  it('serves on when a client ends its side', function()
    local ctx, port = word_server()
    for _, options in ipairs { {}, { headers = { 'Connection: close' } } } do
      local c = client.connect(ctx, port)
      c:send(http.request '/one' .. http.request('/two', options))
      c:shutdown()
      expect_word(c, 'one')
      expect_word(c, 'two')
      c:expect_end()
    end
  end)

  -- --- HEAD ---

  it('answers HEAD without a body', function()
    local ctx, port = word_server()
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
    expect_alive(c)
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
        expect_word(c, word)
      end
    end
  end

  it('answers hundreds of requests of one segment in order', function()
    local ctx, port, uris = word_server()
    local c = client.connect(ctx, port)
    local bytes, words = pipeline(is_slow and 150 or 700)
    assert.equal(#bytes, c:send_some(bytes))
    expect_pipeline(c, words)
    for i, word in ipairs(words) do
      assert.equal('/' .. word .. '?' .. i, uris[i])
    end
    expect_alive(c)
  end)

  it('answers requests split anywhere', function()
    local ctx, port = word_server()
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
      expect_word(c, http.pattern(65536))
    end
    assert.equal(count, asked)
  end)

  it('keeps few answers waiting', function()
    local most, asked = 0, 0
    local c = http.open(function(ws)
      asked = asked + 1
      most = math.max(most, ws:buffered_amount())
    end)
    local count = is_slow and 600 or 3000
    local requests = http.request '/':rep(count)
    c:send(requests)
    for _ = 1, count do
      c:read_response()
    end
    assert.equal(count, asked)
    assert.is_true(most < 70000)
  end)

  -- --- Contents ---

  it('comes after the content, which is passed over', function()
    local ctx, port, uris = word_server()
    local c = client.connect(ctx, port)
    local bytes = http.request('/one', { method = 'GET', body = http.request '/not' })
    c:send(bytes:sub(1, -2))
    client.open(ctx, port, 'p') -- so that all of it has been looked at
    assert.equal(0, #uris)
    c:send(bytes:sub(-1))
    expect_word(c, 'one')
    c:send(http.request('/two', { method = 'GET', body = '' }))
    expect_word(c, 'two')
    assert.same({ '/one', '/two' }, uris)
  end)

  it('comes after chunked content, which is passed over', function()
    local ctx, port, uris = word_server()
    local c = client.connect(ctx, port)
    local chunks = { 'hello', http.request '/not', '0\r\n\r\n', ('x'):rep(300) }
    local bytes = http.request('/one', { chunks = chunks })
    c:send(bytes:sub(1, -2))
    client.open(ctx, port, 'p')
    assert.equal(0, #uris)
    c:send(bytes:sub(-1))
    expect_word(c, 'one')
    local head = 'GET /two HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    c:send(head .. '5;name=value;other="a b"\r\nhello\r\n00A\r\n0123456789\r\n' ..
      '000\r\nTrailer: x\r\nUpgrade: websocket\r\n\r\n')
    expect_word(c, 'two')
    c:send(head .. '0\r\n\r\n')
    expect_word(c, 'two')
    expect_alive(c)
    assert.same({ '/one', '/two', '/two', '/alive' }, uris)
  end)

  it('takes a megabyte of content and no more', function()
    local ctx, port = word_server()
    local c = client.connect(ctx, port)
    local megabyte = 1024 * 1024
    c:send(http.request('/word', { method = 'GET', body = ('x'):rep(megabyte) }))
    expect_word(c, 'word')
    -- Refused by its announcement; and by what has come.
    for _, length in ipairs { '1048577', '9999999999999999' } do
      http.expect_refusal(ctx, port, http.request('/', { headers = { 'Content-Length: ' .. length } }), 413)
    end
    http.expect_refusal(ctx, port, http.request('/', { chunks = { ('x'):rep(megabyte), 'x' } }), 413)
    -- Who is sending gets the answer.
    http.expect_refusal(ctx, port, http.request('/', { body = ('x'):rep(4 * megabyte) }), 413)
  end)

  it('says 100 to who expects it', function()
    local ctx, port = word_server()
    for _, options in ipairs { { method = 'GET', body = 'body' }, { chunks = { 'body' } } } do
      local c = client.connect(ctx, port)
      options.headers = { 'Expect: 100-Continue' }
      local head, body = http.request('/word', options):match '^(.-\r\n\r\n)(.*)$'
      c:send(http.request '/' .. head)
      assert.equal(404, (c:read_response()))
      assert.equal('HTTP/1.1 100 Continue\r\n\r\n', c:read_until '\r\n\r\n')
      c:send(body)
      expect_word(c, 'word')
      expect_alive(c)
    end
  end)

  it('does not say 100 when there is nothing to come', function()
    local ctx, port = word_server()
    local c = client.connect(ctx, port)
    local headers = { 'Expect: 100-continue' }
    c:send(http.request('/word', { headers = headers }))
    expect_word(c, 'word')
    c:send(http.request('/word', { method = 'GET', headers = headers, body = 'sent already' }))
    expect_word(c, 'word')
    c:send(http.request('/word', { version = 'HTTP/1.0', headers = headers }))
    expect_word(c, 'word')
    http.expect_refusal(ctx, port, http.request('/', { headers = { 'Expect: miracles' } }), 417)
  end)

  -- --- What is refused ---

  it('refuses what could be understood in two ways', function()
    local ctx, port, uris = word_server()
    local function post(...)
      return table.concat({ 'POST / HTTP/1.1', 'Host: x', ... }, '\r\n') .. '\r\n\r\n'
    end
    for _, bytes in ipairs {
      post('Content-Length: 1', 'Content-Length: 1'), post('Content-Length: 1', 'Transfer-Encoding: chunked'),
      post 'Content-Length: 1, 1', post 'Content-Length: -1', post 'Content-Length: +1',
      post 'Content-Length: 0x1', post 'Content-Length: ', post 'Content-Length: 1 1',
      post 'Content-Length: 99999999999999999999999',
      post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
      post 'Transfer-Encoding: chunked, gzip', post 'Transfer-Encoding: chunked, chunked',
      post 'Transfer-Encoding: ', post 'Content-Length : 1',
      'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n', 'GET / HTTP/1.1\nHost: x\n\n', '\22\3\1',
    } do
      http.expect_refusal(ctx, port, bytes, 400)
    end
    assert.same({}, uris)
  end)

  it('refuses malformed chunks', function()
    local ctx, port, uris = word_server()
    local head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    for _, chunks in ipairs {
      'x\r\n', '\r\n', '-1\r\n', ' 1\r\n', '0x1\r\n', '5\nhello\r\n', '5\r\nhello!\r\n0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n', '5 hello\r\n', '11111111111111111\r\n', '0\r\nno colon\r\n\r\n',
      '1;' .. ('x'):rep(20000),
      ('1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n'):rep(2000),
    } do
      http.expect_refusal(ctx, port, head .. chunks, 400)
    end
    assert.same({}, uris)
  end)

  it('refuses what it does not know', function()
    local ctx, port, uris = word_server()
    local headers = { 'Transfer-Encoding: gzip, chunked' }
    http.expect_refusal(ctx, port, http.request('/', { headers = headers }), 501)
    for _, version in ipairs { 'HTTP/2.0', 'HTTP/1.2', 'HTTP/0.9', 'HTTP/9.9' } do
      http.expect_refusal(ctx, port, 'GET / ' .. version .. '\r\nHost: x\r\n\r\n', 505)
    end
    for _, version in ipairs { 'HTTP/1', 'HTTP/11', 'HTTP/1.1.1', 'FTP/1.1', 'HTTP/a.b' } do
      http.expect_refusal(ctx, port, 'GET / ' .. version .. '\r\nHost: x\r\n\r\n', 400)
    end
    http.expect_refusal(ctx, port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505)
    assert.same({}, uris)
  end)

  it('answers what came before the malformed', function()
    local ctx, port, uris = word_server()
    local c = client.connect(ctx, port)
    c:send(http.request '/one' .. http.request '/two' .. 'nonsense\r\n' .. http.request '/three')
    expect_word(c, 'one')
    expect_word(c, 'two')
    assert.equal(400, (c:read_response()))
    c:expect_end()
    assert.same({ '/one', '/two' }, uris)
  end)

  -- --- Errors ---

  it('answers 500 when it raises, and tells on_error', function()
    local errors, failing, given = {}, nil, nil
    local ctx, port = http.context(function(ws)
      failing = ws
      error 'deliberate'
    end, { on_error = function(message, ws)
      errors[#errors + 1] = message
      given = ws
    end })
    local c = client.connect(ctx, port)
    c:send(http.request '/' .. http.request '/')
    local status, headers, body = c:read_response()
    assert.equal(500, status)
    assert.equal('close', headers.connection)
    assert.is_nil(body:find('deliberate', 1, true))
    c:expect_end()
    assert.equal(1, #errors)
    assert.is_truthy(errors[1]:find('deliberate', 1, true))
    assert.is_truthy(errors[1]:find('traceback', 1, true))
    assert.is_true(failing == given)
    failing, given = nil, nil
  end)

  it('answers 500 without a body to HEAD', function()
    local c = http.open(function() error 'deliberate' end, { on_error = function() end })
    c:send(http.request('/', { method = 'HEAD' }))
    assert.equal(500, (c:read_response(true)))
    c:expect_end()
  end)

  it('lets an answer stand when it raises afterwards', function()
    local path = http.file 'contents'
    local c = http.open(function(ws)
      ws:serve_http_file(path, 'text/plain')
      error 'deliberate'
    end, { on_error = function() end })
    c:send(http.request '/' .. http.request '/')
    expect_word(c, 'contents')
    c:expect_end()
  end)

  it('goes on for others when it raises', function()
    local path = http.file 'contents'
    local ctx, port = http.context(function(ws, uri)
      if uri == '/bad' then error {} end
      ws:serve_http_file(path, 'text/plain')
    end, { on_error = function() end })
    local good, bad = client.connect(ctx, port), client.connect(ctx, port)
    for _, one in ipairs { good, bad } do
      one:send(http.request '/')
      expect_word(one, 'contents')
    end
    bad:send(http.request '/bad')
    assert.equal(500, (bad:read_response()))
    bad:expect_end()
    good:send(http.request '/')
    expect_word(good, 'contents')
  end)

  -- --- Answers of one's own ---

  it('can send raw bytes, and is closed when they have left', function()
    local results = {}
    local c = http.open(function(ws)
      results[1] = ws:write(http.response('hello', 'Content-Type: text/plain'), HTTP)
      results[2] = select('#', ws:write('', HTTP))
    end)
    c:send(http.request '/' .. http.request '/')
    local status, headers, body = c:read_response()
    assert.equal(200, status)
    assert.equal('text/plain', headers['content-type'])
    assert.equal('hello', body)
    c:expect_end()
    assert.same({ 0, 1 }, results)
  end)

  it('can send raw bytes piece by piece', function()
    local c = http.open(function(ws)
      for _, piece in ipairs { 'HTTP/1.1 200 OK\r\n', '\r\n', 'any', '', '\0thing', 42 } do
        assert.equal(0, ws:write(piece, HTTP))
      end
    end)
    c:send(http.request '/')
    assert.equal('HTTP/1.1 200 OK\r\n\r\nany\0thing42', c:read_all())
    assert.equal('closed', c.ended)
  end)

  it('can send many raw bytes to a slow reader', function()
    local data = http.pattern((is_slow and 1 or 8) * 1024 * 1024)
    local c, ctx, port = http.open(function(ws) assert.equal(0, ws:write(http.response(data), HTTP)) end,
      { max_backpressure = 1000 })
    c:send(http.request '/')
    for _ = 1, 5 do
      client.open(ctx, port, 'p'):close()
    end
    local _, _, body = c:read_response()
    assert.is_true(body == data)
    c:expect_end()
  end)

  it('can send many raw bytes to a slow reader that has ended its side', function()
    local data = http.pattern((is_slow and 1 or 8) * 1024 * 1024)
    local c, ctx, port = http.open(function(ws) ws:write(http.response(data), HTTP) end)
    c:send(http.request '/')
    c:shutdown()
    for _ = 1, 5 do
      client.open(ctx, port, 'p'):close()
    end
    local _, _, body = c:read_response()
    assert.is_true(body == data)
    c:expect_end()
  end)

  it('cannot send raw bytes after an answer, nor answer after raw bytes', function()
    local path = http.file 'contents'
    local results
    local ctx, port = http.context(function(ws, uri)
      if uri == '/raw' then
        ws:write(http.response 'raw', HTTP)
        results = { ws:serve_http_file(path, 'text/plain') }
      else
        ws:serve_http_file(path, 'text/plain')
        results = { ws:write(http.response 'raw', HTTP) }
      end
    end)
    for uri, answer in pairs { ['/raw'] = 'raw', ['/'] = 'contents' } do
      local c = client.connect(ctx, port)
      c:send(http.request(uri, { headers = { 'Connection: close' } }))
      expect_word(c, answer)
      c:expect_end()
      assert.same({ -1, 'already answered' }, results)
    end
  end)

  it('cannot send raw bytes when it is over', function()
    local kept
    local c, ctx, port = http.open(function(ws, uri)
      kept = ws
      if uri == '/raw' then ws:write(http.response 'raw', HTTP) end
    end)
    c:send(http.request '/')
    c:read_response()
    assert.equal(-1, (kept:write('x', HTTP)))
    c:send(http.request '/raw')
    expect_word(c, 'raw')
    assert.equal(-1, (kept:write('x', HTTP)))
    c:expect_end()
    c:close()
    client.open(ctx, port, 'p')
    assert.equal(-1, (kept:write('x', HTTP)))
    kept = nil
  end)

  it('cannot send frames', function()
    local path = http.file 'contents'
    local c = http.open(function(ws)
      for _, name in ipairs { 'TEXT', 'BINARY', 'PING', 'PONG', 'CLOSE', 'CONTINUATION', 'NO_FIN' } do
        assert.is_false((pcall(ws.write, ws, 'x', websockets['WRITE_' .. name])))
      end
      assert.is_false((pcall(ws.write, ws, 'x')))
      assert.is_false((pcall(ws.write, ws, 'x', HTTP + websockets.WRITE_NO_FIN)))
      ws:serve_http_file(path, 'text/plain')
    end)
    c:send(http.request '/')
    expect_word(c, 'contents')
  end)

  it('sends raw bytes in on_http only', function()
    local ctx, port = loop.context { protocols = { p = function(ws)
      local ok, message = pcall(ws.write, ws, 'x', HTTP)
      ws:write(tostring(ok))
      ws:write(message)
    end } }
    local c = client.open(ctx, port, 'p')
    c:expect_text 'false'
    assert.is_truthy(c:expect_text():find('on_http', 1, true))
  end)

  -- --- Ending it ---

  it('can close the connection', function()
    local results = {}
    local c, ctx, port = http.open(function(ws, uri)
      results.close = select('#', ws:close())
      if uri == '/twice' then ws:close() end
    end)
    c:send(http.request '/' .. http.request '/')
    c:expect_end()
    assert.equal(0, results.close)
    c = client.connect(ctx, port)
    c:send(http.request '/twice')
    c:expect_end()
  end)

  it('can close the connection after an answer', function()
    local path = http.file 'contents'
    local c, ctx, port = http.open(function(ws, uri)
      if uri == '/raw' then
        ws:write(http.response 'raw', HTTP)
      else
        ws:serve_http_file(path, 'text/plain')
      end
      ws:close()
    end)
    c:send(http.request '/' .. http.request '/')
    expect_word(c, 'contents')
    c:expect_end()
    c = client.connect(ctx, port)
    c:send(http.request '/raw')
    expect_word(c, 'raw')
    c:expect_end()
  end)

  it('finds a closed connection closed', function()
    local path = http.file 'contents'
    local results
    for _, method in ipairs { 'close', 'terminate' } do
      local c = http.open(function(ws)
        ws[method](ws)
        results = { { ws:write('x', HTTP) }, { ws:write 'x' }, { ws:serve_http_file(path, 'text/plain') },
          { ws:defer() }, { ws:close() }, { ws:broadcast 'x' } }
      end)
      c:send(http.request '/')
      c:expect_end()
      assert.same({ { -1, 'closed' }, { -1, 'closed' }, { -1, 'closed' }, {}, {}, { -1, 'closed' } }, results)
      leaks.collect()
    end
  end)

  it('can destroy the context', function()
    local ctx, port
    ctx, port = http.context(function(ws)
      ws:write(http.response 'last', HTTP)
      ctx:destroy()
    end)
    local c = client.connect(ctx, port)
    c:send(http.request '/' .. http.request '/')
    expect_word(c, 'last')
    c:expect_loss()
    ctx = nil
  end)

  it('can serve others meanwhile', function()
    local path = http.file 'contents'
    local ctx, port, other
    local depth, deepest = 0, 0
    ctx, port = http.context(function(ws, uri)
      depth = depth + 1
      deepest = math.max(deepest, depth)
      if uri == '/outer' then
        other:send(http.request '/inner')
        assert.equal(200, (other:read_response()))
      end
      ws:serve_http_file(path, 'text/plain')
      depth = depth - 1
    end)
    local c = client.connect(ctx, port)
    other = client.connect(ctx, port)
    c:send(http.request '/outer' .. http.request '/last')
    expect_word(c, 'contents')
    expect_word(c, 'contents')
    assert.equal(2, deepest)
    ctx, other = nil, nil
  end)

  it('outlives the client', function()
    local path = http.file 'contents'
    local ctx, port, c
    local results = {}
    ctx, port = http.context(function(ws)
      c:reset()
      loop.serve_until(ctx, function()
        results[#results + 1] = ws:serve_http_file(path, 'text/plain')
        return true
      end)
      for _ = 1, 3 do
        loop.step(ctx)
      end
    end)
    c = client.connect(ctx, port)
    c:send(http.request '/' .. http.request '/')
    loop.serve_until(ctx, function() return #results > 0 end)
    assert.equal(1, #results)
    local after = client.open(ctx, port, 'p')
    after:expect_nothing()
    ctx, c = nil, nil
  end)

  -- --- Answering later ---

  it('can answer later with a file', function()
    local path = http.file 'contents'
    local waiting = {}
    local c = http.open(function(ws)
      ws:defer()
      waiting[#waiting + 1] = ws
    end)
    c:send(http.request '/' .. http.request '/' .. http.request '/')
    for i = 1, 3 do
      loop.serve_until(c.ctx, function() return #waiting >= i end)
      for _ = 1, 3 do
        loop.step(c.ctx)
      end
      assert.equal(i, #waiting) -- no request before the one in front of it is answered
      assert.is_false(c:pump())
      assert.equal(0, waiting[i]:serve_http_file(path, 'text/plain'))
      assert.equal(-1, (waiting[i]:serve_http_file(path, 'text/plain')))
      expect_word(c, 'contents')
    end
    waiting = nil
  end)

  it('can answer later with raw bytes', function()
    local waiting
    local c = http.open(function(ws)
      ws:defer()
      waiting = ws
    end)
    c:send(http.request '/')
    loop.serve_until(c.ctx, function() return waiting end)
    assert.equal(0, waiting:write(http.response 'late', HTTP))
    expect_word(c, 'late')
    c:expect_end()
    waiting = nil
  end)

  it('can answer later, or never, from somewhere else', function()
    local path = http.file 'contents'
    local waiting = {}
    local ctx, port = loop.context {
      protocols = { p = function(ws)
        ws:on_receive(function()
          for _, one in ipairs(waiting) do
            one:serve_http_file(path, 'text/plain')
          end
          waiting = {}
        end)
      end },
      on_http = function(ws)
        ws:defer()
        waiting[#waiting + 1] = ws
      end,
    }
    local clients = {}
    for i = 1, 5 do
      clients[i] = client.connect(ctx, port)
      clients[i]:send(http.request '/')
    end
    local c = client.open(ctx, port, 'p')
    loop.serve_until(ctx, function() return #waiting == 5 end)
    table.remove(clients):reset() -- its answer finds nobody
    c:text 'answer them'
    for _, one in ipairs(clients) do
      expect_word(one, 'contents')
    end
    clients[1]:send(http.request '/')
    loop.serve_until(ctx, function() return #waiting == 1 end)
    waiting = nil
  end)

  it('may say that it answers later and answer now', function()
    local path = http.file 'contents'
    local c = http.open(function(ws)
      ws:defer()
      ws:serve_http_file(path, 'text/plain')
    end)
    c:send(http.request '/' .. http.request '/')
    expect_word(c, 'contents')
    expect_word(c, 'contents')
  end)

  it('answers 500 when it raises after having said that it answers later', function()
    local c = http.open(function(ws)
      ws:defer()
      error 'deliberate'
    end, { on_error = function() end })
    c:send(http.request '/')
    assert.equal(500, (c:read_response()))
    c:expect_end()
  end)

  it('answers later to a client that has ended its side', function()
    local path = http.file 'contents'
    local waiting
    local c = http.open(function(ws)
      ws:defer()
      waiting = ws
    end)
    c:send(http.request '/')
    c:shutdown()
    loop.serve_until(c.ctx, function() return waiting end)
    waiting:serve_http_file(path, 'text/plain')
    expect_word(c, 'contents')
    c:expect_end()
    waiting = nil
  end)

  it('answers later than handshake_timeout', function()
    local path = http.file 'contents'
    local waiting
    local c, ctx, port = http.open(function(ws)
      ws:defer()
      waiting = ws
    end, { handshake_timeout = 0.05 })
    c:send(http.request '/')
    loop.serve_until(ctx, function() return waiting end)
    client.connect(ctx, port):expect_loss() -- connected later, gone earlier
    assert.equal(0, waiting:serve_http_file(path, 'text/plain'))
    expect_word(c, 'contents')
    waiting = nil
  end)

  it('cannot say later that it answers later', function()
    local ctx, port = loop.context { protocols = { p = function(ws)
      ws:write(tostring((pcall(ws.defer, ws))))
    end } }
    client.open(ctx, port, 'p'):expect_text 'false'
  end)
end)
