-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

local is_slow = loop.time_factor > 1
local big_bytes = (is_slow and 1 or 8) * 1024 * 1024

describe('respond', function()
  leaks.check_each(before_each, after_each)
  after_each(http.remove_files)
  teardown(tls.remove_folders)

  -- A server that calls ws:respond with these arguments, and a client of it. The second result: what its calls
  -- returned.
  local function open(...)
    local arguments, count, results = { ... }, select('#', ...), {}
    local unpack = rawget(_G, 'unpack') or table.unpack
    local c, ctx, port = http.open(function(ws)
      results[#results + 1] = { ws:respond(unpack(arguments, 1, count)) }
    end)
    return c, results, ctx, port
  end

  -- --- What is sent ---

  it('sends a status, headers and a body', function()
    local c, results = open(201, { ['Content-Type'] = 'application/json', ['X-Number'] = 42, Location = '/new' },
      '{"a": "\0\255"}')
    c:send(http.request '/')
    local status, headers, body = c:read_response()
    assert.equal(201, status)
    assert.equal('application/json', headers['content-type'])
    assert.equal('42', headers['x-number'])
    assert.equal('/new', headers.location)
    assert.equal('{"a": "\0\255"}', body)
    assert.equal(tostring(#body), headers['content-length'])
    assert.is_truthy(headers.date)
    assert.is_nil(headers.connection)
    assert.same({ { 0 } }, results)
  end)

  it('repeats a header that is a list', function()
    local c = open(200, { ['Set-Cookie'] = { 'a=1; Path=/', 'b=2', 3 }, Vary = {} }, 'x')
    c:send(http.request '/')
    local head = c:read_until '\r\n\r\n'
    assert.is_truthy(head:find('\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nSet-Cookie: 3\r\n', 1, true))
    assert.is_nil(head:find 'Vary')
  end)

  it('says that a body is text unless told what it is', function()
    local c = open(200, nil, 'x')
    c:send(http.request '/')
    assert.equal('text/plain; charset=utf-8', select(2, c:read_response())['content-type'])
    c = open(200, { ['content-type'] = 'image/png' }, 'x')
    c:send(http.request '/')
    assert.equal('image/png', select(2, c:read_response())['content-type'])
    c = open(200)
    c:send(http.request '/')
    local _, headers, body = c:read_response()
    assert.is_nil(headers['content-type'])
    assert.equal('', body)
  end)

  it('sends a number as its body', function()
    local c = open(200, {}, 42)
    c:send(http.request '/')
    http.expect_word(c, '42')
  end)

  it('sends no body to HEAD, but its length', function()
    for _, size in ipairs { 5, 100000 } do
      local c = open(200, { ['X-A'] = 'b' }, http.pattern(size))
      c:send(http.request('/', { method = 'HEAD' }) .. http.request '/')
      local status, headers = c:read_response(true)
      assert.equal(200, status)
      assert.equal(tostring(size), headers['content-length'])
      assert.equal('b', headers['x-a'])
      http.expect_word(c, http.pattern(size))
    end
  end)

  it('sends answers that have no body', function()
    for status, length in pairs { [204] = false, [304] = false, [205] = '0', [200] = '0', [404] = '0' } do
      local c = open(status, { ETag = '"x"' })
      c:send(http.request '/' .. http.request '/')
      for _ = 1, 2 do
        local actual, headers = c:read_head()
        assert.equal(status, actual)
        assert.equal(length or nil, headers['content-length'])
        assert.equal('"x"', headers.etag)
      end
    end
  end)

  it('sends any status from 200 to 599', function()
    for _, status in ipairs { 200, 299, 418, 599 } do
      local c = open(status, nil, 'x')
      c:send(http.request '/')
      assert.equal(status, (c:read_response()))
    end
  end)

  it('keeps the connection as the client wants it', function()
    local c, results, ctx, port = open(200, nil, 'x')
    for i = 1, 3 do
      c:send(http.request('/', { method = 'POST', body = 'content' }):rep(i))
      for _ = 1, i do
        http.expect_word(c, 'x')
      end
    end
    assert.equal(6, #results)
    c:send(http.request('/', { headers = { 'Connection: close' } }) .. http.request '/')
    assert.equal('close', http.expect_word(c, 'x').connection)
    c:expect_end()
    assert.equal(7, #results)

    c = client.connect(ctx, port)
    c:send(http.request('/', { version = 'HTTP/1.0', headers = { 'Connection: keep-alive' } }))
    assert.equal('keep-alive', http.expect_word(c, 'x').connection)
    c:send(http.request('/', { version = 'HTTP/1.0' }))
    http.expect_word(c, 'x')
    c:expect_end()
  end)

  it('sends a large body to a slow reader, and lets go of it', function()
    local ctx, port = http.context(function(ws) ws:respond(200, nil, http.pattern(big_bytes)) end)
    local reader, other = client.connect(ctx, port), client.connect(ctx, port)
    leaks.collect()
    local before_kb = collectgarbage 'count'
    reader:send(http.request '/' .. http.request '/')
    other:send(http.request('/', { method = 'HEAD' }))
    assert.equal(200, (other:read_response(true)))
    for _ = 1, 2 do
      assert.is_true(http.pattern(big_bytes) == select(3, reader:read_response()))
    end
    reader:close()
    reader = nil
    loop.step(ctx)
    leaks.collect()
    assert.is_true(collectgarbage 'count' - before_kb < big_bytes / 1024 / 2)
  end)

  it('sends over TLS', function()
    local body = http.pattern(200000)
    local ctx, port = http.context(function(ws) ws:respond(200, { ['X-A'] = 'b' }, body) end, tls.config())
    local c = client.connect(ctx, port, { tls = {} })
    c:send(http.request '/' .. http.request '/')
    for _ = 1, 2 do
      assert.equal('b', http.expect_word(c, body)['x-a'])
    end
  end)

  -- --- What is not ---

  it('lets no header be smuggled in, and sets its own ones itself', function()
    local refused = {
      { ['X-A'] = 'b\r\nX-Evil: 1' }, { ['X-A'] = 'b\nX-Evil: 1' }, { ['X-A'] = 'b\r' }, { ['X-A'] = 'b\0' }, { ['X-A'] = 'b\27[2J' }, { ['X-A'] = 'b\127' },
      { ['X-A'] = { 'good', 'b\n' } }, { ['X-A\r\nX-Evil'] = '1' }, { ['X A'] = '1' }, { ['X-A:'] = '1' },
      { [''] = '1' },
      { ['X\0'] = '1' }, { ['Content-Length'] = 1 }, { ['content-length'] = 1 }, { ['Transfer-Encoding'] = 'chunked' },
      { ['Connection'] = 'close' }, { DATE = 'today' }, { Upgrade = 'websocket' }, { ['Keep-Alive'] = 'timeout=1' },
      { ['Content-Type'] = 'a/b', ['content-type'] = 'c/d' }, { ['Content-Type'] = { 'a/b', 'c/d' } },
      { 'X-A: b' }, { ['X-A'] = true }, { ['X-A'] = { {} } }, { ['X-A'] = { 'a', false } }, 'X-A: b', 42, true,
    }
    local messages = {}
    local c = http.open(function(ws)
      for i, headers in ipairs(refused) do
        local ok, message = pcall(function() ws:respond(200, headers, 'x') end)
        messages[i] = not ok and message
      end
      ws:respond(200, { ['X-A'] = 'b\t;"\195\188' }, 'good')
    end)
    c:send(http.request '/')
    local headers = http.expect_word(c, 'good')
    assert.equal('b\t;"\195\188', headers['x-a'])
    assert.is_nil(headers['x-evil'])
    for i = 1, #refused do
      assert.is_truthy(messages[i] and messages[i]:find 'bad argument #2', i)
    end
    assert.is_truthy(messages[1]:find("'X-A': a header's value has no control characters", 1, true))
    assert.is_truthy(messages[13]:find("'Content-Length': the library sets this header itself", 1, true))
  end)

  it('checks its other arguments', function()
    local failures = {}
    local c = http.open(function(ws)
      local function expect_error(...)
        local ok, message = pcall(ws.respond, ...)
        failures[#failures + 1] = not ok and message:match 'bad argument #%d' or 'none'
      end
      expect_error(ws)
      expect_error(ws, 'x')
      for _, status in ipairs { -1, 0, 99, 100, 101, 199, 600, 1e9 } do
        expect_error(ws, status)
      end
      expect_error(ws, 200, nil, {})
      expect_error(ws, 200, nil, true)
      for _, status in ipairs { 204, 205, 304 } do
        expect_error(ws, status, nil, 'x')
      end
      ws:respond(204, nil, '')
    end)
    c:send(http.request '/')
    assert.equal(204, (c:read_head()))
    assert.equal(15, #failures)
    for i, failure in ipairs(failures) do
      assert.equal(i <= 10 and 'bad argument #2' or 'bad argument #4', failure, i)
    end
  end)

  it('says where the body goes', function()
    local c = http.open(function(ws)
      local ok, message = pcall(function() ws:respond(200, 'hello') end)
      ws:respond(200, nil, tostring(ok) .. message)
    end)
    c:send(http.request '/')
    local _, _, body = c:read_response()
    local text = "the headers come second, the body third: ws:respond(200, nil, 'hello')"
    assert.is_truthy(body:find(text, 1, true), body)
  end)

  it('answers once', function()
    local path = http.file 'contents'
    local results
    local c = http.open(function(ws, uri)
      if uri == '/raw' then ws:write(http.response 'raw', websockets.WRITE_HTTP) end
      if uri == '/file' then ws:serve_http_file(path, 'text/plain') end
      results = { { ws:respond(200, nil, 'first') }, { ws:respond(500, nil, 'second') },
        { ws:serve_http_file(path, 'text/plain') } }
    end)
    c:send(http.request '/')
    http.expect_word(c, 'first')
    local answered = { -1, 'already answered' }
    assert.same({ { 0 }, answered, answered }, results)
    c:send(http.request '/file')
    http.expect_word(c, 'contents')
    assert.same({ answered, answered, answered }, results)
    c:send(http.request '/raw')
    http.expect_word(c, 'raw')
    c:expect_end()
    assert.same({ answered, answered, answered }, results)
  end)

  it('finds a closed connection closed', function()
    for _, method in ipairs { 'close', 'terminate' } do
      local result
      local c = http.open(function(ws)
        ws[method](ws)
        result = { ws:respond(200, nil, 'x') }
      end)
      c:send(http.request '/')
      c:expect_end()
      assert.same({ -1, 'closed' }, result)
    end
  end)

  it('can be followed by close', function()
    local c = http.open(function(ws)
      ws:respond(200, nil, 'last')
      ws:close()
    end)
    c:send(http.request '/' .. http.request '/')
    http.expect_word(c, 'last')
    c:expect_end()
  end)

  it('counts when an error follows it, but the connection ends', function()
    local c = http.open(function(ws)
      ws:respond(200, nil, 'last')
      error 'deliberate'
    end, { on_error = function() end })
    c:send(http.request '/' .. http.request '/')
    http.expect_word(c, 'last')
    c:expect_end()
  end)

  it('is for on_http only', function()
    http.expect_for_on_http_only(function(ws) ws:respond(200, nil, 'x') end)
  end)

  -- --- Later ---

  it('can answer later, each request in its turn', function()
    local waiting = {}
    local c = http.open(function(ws, uri)
      if uri == '/now' then return ws:respond(200, nil, uri) end
      ws:defer()
      waiting[#waiting + 1] = ws
    end)
    c:send(http.request '/1' .. http.request '/now' .. http.request '/2' .. http.request '/now')
    for i = 1, 2 do
      loop.serve_until(c.ctx, function() return #waiting == i end)
      assert.equal(0, waiting[i]:respond(200, { ['X-A'] = i }, http.pattern(i * 10000)))
      assert.same({ -1, 'already answered' }, { waiting[i]:respond(200) })
      assert.equal(tostring(i), http.expect_word(c, http.pattern(i * 10000))['x-a'])
      http.expect_word(c, '/now')
    end
    waiting = nil
  end)

  it('finds a client that has left closed', function()
    local c, waiting, ctx, port = http.open_deferred()
    c:send(http.request '/')
    local ws = http.await(c, waiting)
    c:close()
    loop.serve_until(ctx, function() return tostring(ws):find 'closed' end)
    assert.same({ -1, 'closed' }, { ws:respond(200, nil, 'x') })
    assert.same({ -1, 'closed' }, { ws:respond(200, nil, ('x'):rep(10000)) })
    client.open(ctx, port, 'p'):expect_nothing()
  end)
end)
