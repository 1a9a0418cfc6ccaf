-- SPDX-License-Identifier: MIT
-- The contents of HTTP requests: in full, within limits.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local tls = require 'spec.support.tls'

local is_slow = loop.time_factor > 1

describe('the content of a request', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- Answers with what it was sent.
  local function echo(ws)
    local request = ws:request()
    ws:respond(200, { ['X-Method'] = request.method, ['X-Type'] = request.headers['content-type'] or 'none' },
      request.body)
  end

  it('is there in full when on_http is called', function()
    local json = '{"name": "\195\164", "list": [1, 2, 3]}'
    local form = 'name=%C3%A4&text=a+b&x='
    local c = http.open(echo)
    for kind, body in pairs { ['application/json'] = json, ['application/x-www-form-urlencoded'] = form,
      ['application/octet-stream'] = '\0\r\n\r\n\255', ['text/plain'] = 'x' } do
      for _, method in ipairs { 'POST', 'PUT', 'PATCH', 'DELETE' } do
        c:send(http.request('/api', { method = method, headers = { 'Content-Type: ' .. kind }, body = body }))
        local headers = http.expect_word(c, body)
        assert.equal(kind, headers['x-type'])
        assert.equal(method, headers['x-method'])
      end
    end
    c:send(http.request('/', { method = 'POST', body = '' }) .. http.request '/')
    http.expect_word(c, '')
    http.expect_word(c, '')
  end)

  it('can be a form', function()
    local c = http.open(function(ws)
      local fields = {}
      for name, value in ws:request().body:gmatch '([^&=]+)=([^&]*)' do
        fields[#fields + 1] = name .. ':' .. value:gsub('%+', ' ')
      end
      ws:respond(200, nil, table.concat(fields, ','))
    end)
    c:send(http.request('/', { method = 'POST', body = 'a=1&b=x+y&c=' }))
    http.expect_word(c, 'a:1,b:x y,c:')
  end)

  it('may come in chunks, and in pieces', function()
    local c = http.open(echo)
    local chunks = { 'a', 'bc', ('d'):rep(300), '\r\n', '0\r\n\r\n' }
    c:send_split(http.request('/', { method = 'POST', chunks = chunks })
      .. http.request('/', { method = 'POST', body = 'end' }))
    http.expect_word(c, table.concat(chunks))
    http.expect_word(c, 'end')
    c:send(http.request('/', { method = 'POST', chunks = {} }))
    http.expect_word(c, '')
  end)

  it('may be asked for before it comes', function()
    local c = http.open(echo)
    local bytes = http.request('/', { method = 'POST', headers = { 'Expect: 100-continue' }, body = 'content' })
    c:send(bytes:sub(1, -8))
    assert.equal(100, (c:read_head()))
    c:send 'content'
    http.expect_word(c, 'content')
  end)

  it('may be as large as max_body_size', function()
    local size = (is_slow and 2 or 8) * 1024 * 1024
    local body = http.pattern(size)
    local c = http.open(echo, { max_body_size = size })
    c:send(http.request('/', { method = 'POST', body = body }))
    http.expect_word(c, body)
    c:send(http.request('/', { method = 'POST', chunks = { body:sub(1, 1000), body:sub(1001) } }))
    http.expect_word(c, body)
  end)

  it('may come over TLS', function()
    local body = http.pattern(300000)
    local ctx, port = http.context(echo, tls.config())
    local c = client.connect(ctx, port, { tls = {} })
    c:send(http.request('/', { method = 'POST', body = body })
      .. http.request('/', { method = 'PUT', chunks = { body } }))
    http.expect_word(c, body)
    http.expect_word(c, body)
  end)

  it('is there for an answer that comes later', function()
    local c, waiting = http.open_deferred()
    c:send(http.request('/', { method = 'POST', body = 'first' })
      .. http.request('/', { method = 'POST', body = 'second' }))
    for i, body in ipairs { 'first', 'second' } do
      local ws = http.await(c, waiting, i)
      ws:respond(200, nil, ws:request().body)
      http.expect_word(c, body)
    end
  end)

  -- --- Limits ---

  it('is refused when it is larger than max_body_size', function()
    local count = 0
    local ctx, port = http.context(function(ws)
      count = count + 1
      ws:respond(200, nil, 'taken')
    end, { max_body_size = 1000 })
    local c = client.connect(ctx, port)
    c:send(http.request('/', { method = 'POST', body = ('x'):rep(1000) }))
    http.expect_word(c, 'taken')
    c:send(http.request('/', { method = 'POST', chunks = { ('x'):rep(500), ('x'):rep(500) } }))
    http.expect_word(c, 'taken')
    assert.equal(2, count)
    local too_long = http.request('/', { method = 'POST', body = ('x'):rep(1001) })
    http.expect_refusal(ctx, port, too_long, 413)
    http.expect_refusal(ctx, port, too_long:sub(1, -1002), 413) -- at its Content-Length
    local chunks = { ('x'):rep(500), ('x'):rep(501) }
    http.expect_refusal(ctx, port, http.request('/', { method = 'PUT', chunks = chunks }), 413)
    assert.equal(2, count)
  end)

  it('is refused when all contents together are larger than max_body_memory', function()
    local waiting = {}
    local ctx, port = http.context(function(ws, uri)
      if uri == '/now' then return ws:respond(200, nil, 'taken') end
      ws:defer()
      waiting[#waiting + 1] = ws
    end, { max_body_memory = 10000, max_body_size = 20000 })
    local function send(path, size, sent)
      local c = client.connect(ctx, port)
      local bytes = http.request(path, { method = 'POST', body = ('x'):rep(size) })
      c:send(bytes:sub(1, sent and sent - size - 1 or -1))
      return c
    end
    local function expect_refusal(c)
      local status, headers = c:read_response()
      assert.same({ 503, 'close' }, { status, headers.connection })
      c:close()
    end
    -- Until what was sent, or closed, before has come to the server.
    local function try_until(size, expected)
      loop.serve_until(ctx, function()
        local c = send('/now', size)
        local status = c:read_response()
        c:close()
        return status == expected
      end)
    end

    http.expect_word(send('/now', 15000), 'taken') -- alone
    local whole = send('/later', 6000)
    loop.serve_until(ctx, function() return #waiting == 1 end)
    http.expect_word(send('/now', 4000), 'taken')
    expect_refusal(send('/now', 4001))
    local part = send('/later', 9000, 3000) -- counts as far as it has come
    try_until(1001, 503)
    http.expect_word(send('/now', 0), 'taken')
    part:send(('x'):rep(1000))
    part:send(('x'):rep(1000))
    expect_refusal(part)
    http.expect_word(send('/now', 4000), 'taken')
    waiting[1]:respond(200)
    assert.equal(200, (whole:read_response()))
    http.expect_word(send('/now', 15000), 'taken')
    -- Clients that leave give back what they had.
    for _ = 1, 5 do
      send('/later', 9000, 5000):close()
    end
    try_until(10000, 200)
    local other = send('/later', 9000)
    loop.serve_until(ctx, function() return #waiting == 2 end)
    other:reset()
    loop.serve_until(ctx, function() return tostring(waiting[2]):find 'closed' end)
    http.expect_word(send('/now', 10000), 'taken')
    waiting = nil
  end)
end)
