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

  it('can send many raw bytes to a slow reader, also to one that has ended its side', function()
    local data = http.pattern((is_slow and 1 or 8) * 1024 * 1024)
    for _, has_ended in ipairs { false, true } do
      local c, ctx, port = http.open(function(ws) assert.equal(0, ws:write(http.response(data), HTTP)) end,
        { max_backpressure = 1000 })
      c:send(http.request '/')
      if has_ended then c:shutdown() end
      for _ = 1, 5 do
        client.open(ctx, port, 'p'):close()
      end
      local _, _, body = c:read_response()
      assert.is_true(body == data)
      c:expect_end()
    end
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
      http.expect_word(c, answer)
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
    http.expect_word(c, 'raw')
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
    http.expect_word(c, 'contents')
  end)

  it('sends raw bytes in on_http only', function()
    http.expect_for_on_http_only(function(ws) ws:write('x', HTTP) end)
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
    http.expect_word(c, 'contents')
    c:expect_end()
    c = client.connect(ctx, port)
    c:send(http.request '/raw')
    http.expect_word(c, 'raw')
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
    http.expect_word(c, 'last')
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
    http.expect_word(c, 'contents')
    http.expect_word(c, 'contents')
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
    local c, waiting = http.open_deferred()
    c:send(http.request '/' .. http.request '/' .. http.request '/')
    for i = 1, 3 do
      http.await(c, waiting, i)
      for _ = 1, 3 do
        loop.step(c.ctx)
      end
      assert.equal(i, #waiting) -- no request before the one in front of it is answered
      assert.is_false(c:pump())
      assert.equal(0, waiting[i]:serve_http_file(path, 'text/plain'))
      assert.equal(-1, (waiting[i]:serve_http_file(path, 'text/plain')))
      http.expect_word(c, 'contents')
    end
    waiting = nil
  end)

  it('can answer later with raw bytes', function()
    local c, waiting = http.open_deferred()
    c:send(http.request '/')
    assert.equal(0, http.await(c, waiting):write(http.response 'late', HTTP))
    http.expect_word(c, 'late')
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
      http.expect_word(one, 'contents')
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
    http.expect_word(c, 'contents')
    http.expect_word(c, 'contents')
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

  it('notices that the client has gone before the answer', function()
    local path = http.file 'contents'
    for _, ending in ipairs { 'close', 'reset', 'shutdown' } do
      for _, early in ipairs { '', http.request '/', ('x'):rep(4000) } do
        local c, waiting = http.open_deferred()
        c:send(http.request '/' .. early)
        local ws = http.await(c, waiting)
        c:send(early)
        c[ending](c)
        loop.serve_until(c.ctx, function() return tostring(ws):find 'closed' end, ending)
        assert.same({ -1, 'closed' }, { ws:serve_http_file(path, 'text/plain') })
        assert.same({ -1, 'closed' }, { ws:write(http.response 'x', HTTP) })
        if ending == 'shutdown' then c:expect_loss() end
      end
    end
  end)

  it('sends what was answered before to a client that has gone before the next answer', function()
    local path = http.file 'contents'
    local waiting
    local c = http.open(function(ws)
      if waiting then return ws:defer() end
      waiting = ws
      ws:serve_http_file(path, 'text/plain')
    end)
    c:send(http.request '/' .. http.request '/')
    c:shutdown()
    http.expect_word(c, 'contents')
    c:expect_end()
    assert.is_truthy(tostring(waiting):find 'closed')
    waiting = nil
  end)

  it('takes no more than a little from a client that sends on before the answer', function()
    local path = http.file 'contents'
    local c, waiting = http.open_deferred()
    c:send(http.request '/')
    local ws = http.await(c, waiting)
    local block, sent = ('x'):rep(65536), 0
    local idle = 0
    while idle < 20 do -- the system takes some more each time that something was read
      local count = c:send_some(block)
      sent, idle = sent + count, count > 0 and 0 or idle + 1
      assert.is_true(sent < 64 * 1024 * 1024)
      loop.step(c.ctx, 1)
    end
    ws:serve_http_file(path, 'text/plain')
    http.expect_word(c, 'contents')
    waiting = nil
  end)

  it('is over for a client that reads no answers, though it has asked for one that comes later', function()
    local asked_for_later = false
    local answer = ('x'):rep(16384)
    local ctx, port = http.context(function(ws, uri)
      if uri ~= '/later' then return ws:respond(200, nil, answer) end
      asked_for_later = true
      ws:defer()
    end, { send_timeout = 0.3 })
    local c = client.connect(ctx, port, { receive_buffer = 65536 })
    local function is_over() return ctx:stats().open_connections == 0 end
    -- Until a little waits: with much no further request is read.
    c:send_some(http.request '/')
    loop.serve_until(ctx, function() return ctx:stats().open_connections == 1 end)
    repeat
      c:send_some(http.request '/')
      for _ = 1, 10 do
        loop.step(ctx)
      end
    until ctx:stats().queued_bytes > 0 or is_over()
    c:send_some(http.request '/later')
    loop.serve_until(ctx, function() return asked_for_later or is_over() end)
    loop.serve_until(ctx, is_over, 'the end')
  end)

  it('takes up the requests that came while an answer was awaited, in their order', function()
    local paths = { http.file 'one', http.file 'two', http.file 'three' }
    local c, waiting = http.open_deferred()
    c:send(http.request '/')
    http.await(c, waiting)
    c:send_split(http.request '/', 7)
    c:send_split(http.request '/', 7)
    for i = 1, 3 do
      http.await(c, waiting, i):serve_http_file(paths[i], 'text/plain')
      http.expect_word(c, ({ 'one', 'two', 'three' })[i])
    end
    waiting = nil
  end)

  it('answers later than handshake_timeout', function()
    local path = http.file 'contents'
    local c, waiting, ctx, port = http.open_deferred { handshake_timeout = 0.05 }
    c:send(http.request '/')
    local ws = http.await(c, waiting)
    client.connect(ctx, port):expect_loss() -- connected later, gone earlier
    assert.equal(0, ws:serve_http_file(path, 'text/plain'))
    http.expect_word(c, 'contents')
    waiting = nil
  end)

  it('cannot say later that it answers later', function()
    http.expect_for_on_http_only(function(ws) ws:defer() end)
  end)
end)
