-- SPDX-License-Identifier: MIT
-- on_upgrade: who becomes a websocket.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'

local unpack = rawget(_G, 'unpack') or table.unpack

describe('on_upgrade', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local function contains(text, part)
    assert.is_truthy(text:find(part, 1, true), ('%q lacks %q'):format(text, part))
  end

  -- A server whose on_upgrade returns these values. The third result: the errors of its callbacks.
  local function server(config, ...)
    local values, count, errors = { ... }, select('#', ...), {}
    local settings = {
      on_upgrade = function() return unpack(values, 1, count) end,
      on_error = function(message, ws)
        assert.is_nil(ws)
        errors[#errors + 1] = message
      end,
    }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    local ctx, port = pair.context(settings, function(ws) ws:write 'open' end)
    return ctx, port, errors
  end

  -- Asks for a websocket and expects to be refused. Returns headers and body.
  local function expect_refusal(ctx, port, status, options)
    local c = client.connect(ctx, port, options)
    c:send(client.request { protocol = 'p', first = client.frame(client.TEXT, 'early') })
    local actual, headers, body = c:read_response()
    assert.equal(status, actual)
    assert.equal('close', headers.connection)
    c:expect_end()
    c:close()
    return headers, body
  end

  -- --- Granting ---

  it('grants by true', function()
    local ctx, port, errors = server(nil, true)
    client.open(ctx, port, 'p'):expect_text 'open'
    assert.same({}, errors)
  end)

  it('may add headers to the answer', function()
    local ctx, port = server(nil, true, { ['Set-Cookie'] = { 'a=1; Path=/', 'b=2' }, ['X-Server'] = 'here' })
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    local head = c:read_until '\r\n\r\n'
    contains(head, 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n')
    contains(head, '\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n')
    contains(head, '\r\nX-Server: here\r\n')
    contains(head, '\r\nSec-WebSocket-Protocol: p\r\n')
    c:expect_text 'open'
    c:expect_nothing()
  end)

  it('is called once for each, before the websocket is there', function()
    local events = {}
    local ctx, port = pair.context({ on_upgrade = function(request, ...)
      assert.equal(0, select('#', ...))
      events[#events + 1] = 'upgrade ' .. request.path
      return true
    end }, function(ws)
      events[#events + 1] = 'open ' .. ws:request().path
      ws:on_receive(function(_, data) events[#events + 1] = data end)
    end)
    for _, name in ipairs { 'one', 'two' } do
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p', path = '/' .. name, first = client.frame(client.TEXT, name) })
      assert.equal(101, (c:read_head()))
      c:expect_nothing()
    end
    assert.same({ 'upgrade /one', 'open /one', 'one', 'upgrade /two', 'open /two', 'two' }, events)
  end)

  it('is not called for what cannot become a websocket', function()
    local ctx, port = pair.context { on_upgrade = function() error 'called' end }
    http.expect_refusal(ctx, port, client.request { protocol = 'q' }, 400)
    http.expect_refusal(ctx, port, client.request { protocol = 'p', headers = { ['Sec-WebSocket-Version'] = '8' } },
      426)
    local c = client.connect(ctx, port)
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
  end)

  it('works over TLS', function()
    local ctx, port = server(tls.config(), true)
    client.open(ctx, port, { protocol = 'p', tls = {} }):expect_text 'open'
    ctx, port = server(tls.config(), 401)
    expect_refusal(ctx, port, 401, { tls = {} })
  end)

  it('may be answered by accept and reject, whatever is returned', function()
    for _, returned in ipairs { true, false, 'x', 402 } do
      local ctx, port, results = nil, nil, nil
      local accepts = true
      ctx, port = pair.context({ on_upgrade = function(request)
        if accepts then
          results = { { request:accept { ['X-A'] = 'b' } }, { request:accept() }, { request:reject() } }
        else
          results = { { request:reject(410) }, { request:reject() }, { request:accept() } }
        end
        return returned
      end })
      local expected = { { true }, { nil, 'already answered' }, { nil, 'already answered' } }
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { protocol = 'p' }
      assert.equal(101, status)
      assert.equal('b', headers['x-a'])
      assert.same(expected, results)
      accepts = false
      expect_refusal(ctx, port, 410)
      assert.same(expected, results)
    end
  end)

  -- --- Refusing ---

  it('refuses by false, with 403', function()
    local ctx, port, errors = server(nil, false)
    local headers, body = expect_refusal(ctx, port, 403)
    assert.equal('text/plain; charset=utf-8', headers['content-type'])
    assert.equal('Forbidden\n', body)
    assert.same({}, errors)
  end)

  it('refuses by a status, with headers and a body', function()
    local function refusal(...)
      local ctx, port, errors = server(nil, ...)
      local headers, body = expect_refusal(ctx, port, (...) or 403)
      assert.same({}, errors)
      return headers, body
    end
    assert.equal('Unauthorized\n', select(2, refusal(401)))
    assert.equal('Refused\n', select(2, refusal(499)))
    local headers, body = refusal(401, { ['WWW-Authenticate'] = 'Bearer' }, 'who?')
    assert.equal('Bearer', headers['www-authenticate'])
    assert.equal('who?', body)
    headers, body = refusal(429, { ['Retry-After'] = '10', ['content-type'] = 'application/json' }, '{}')
    assert.equal('application/json', headers['content-type'])
    assert.equal('10', headers['retry-after'])
    assert.equal('{}', body)
    assert.equal('just text', select(2, refusal(404, 'just text')))
    assert.equal('just text', select(2, refusal(404, nil, 'just text')))
    assert.equal('why\0not', select(2, refusal(false, 'why\0not')))
    assert.equal('', select(2, refusal(false, {}, '')))
    headers = refusal(302, { Location = 'https://example.org/', ['Set-Cookie'] = { 'a=1', 'b=2' } })
    assert.equal('https://example.org/', headers.location)
    assert.equal('a=1, b=2', headers['set-cookie'])
    assert.equal('OK\n', select(2, refusal(200)))
  end)

  it('sends a large body whole', function()
    local text = http.pattern(1e6)
    local ctx, port = server(nil, 503, text)
    assert.equal(text, select(2, expect_refusal(ctx, port, 503)))
  end)

  it('sends no body where there is none', function()
    for status, length in pairs { [204] = false, [205] = '0' } do
      local ctx, port = server(nil, status)
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' })
      local got, headers = c:read_head()
      assert.same({ status, length or nil }, { got, headers['content-length'] })
      c:expect_end()
    end
  end)

  -- --- Mistakes ---

  it('answers with 500 when something else is returned', function()
    for _, case in ipairs { { 0 }, { 1, nil }, { 1, 'yes' }, { 1, {} }, { 1, print } } do
      local ctx, port, errors = server(nil, unpack(case, 2, 2))
      expect_refusal(ctx, port, 500)
      assert.equal(1, #errors)
      local shown = case[2] == 'yes' and "'yes'" or type(case[2])
      contains(errors[1], ('on_upgrade returned %s, not true'):format(shown))
    end
  end)

  it('answers with 500 when the answer cannot be sent', function()
    local cases = {
      { 'from 200 to 599, not 101', 101 }, { 'from 200 to 599', 99 }, { 'from 200 to 599', 600 }, { 'from 200 to 599', 403.5 },
      { 'from 200 to 599', 0 / 0 },
      { 'no control characters', true, { ['X-A'] = 'a\r\nSet-Cookie: b' } },
      { 'no control characters', true, { ['X-A'] = 'a\nb' } },
      { 'no control characters', true, { ['X-A'] = 'a\0b' } },
      { 'no control characters', true, { ['X-A'] = { 'a', 'b\r' } } },
      { 'no control characters', 403, { ['X-A'] = 'a\r\n\r\nbody' } },
      { 'token', true, { ['X A'] = 'a' } }, { 'token', true, { ['X-A:'] = 'a' } }, { 'token', true, { [''] = 'a' } },
      { 'token', true, { ['X\r\nY'] = 'a' } }, { 'token', false, { ['X\0Y'] = 'a' } },
      { "table of headers, not 'X-A: a'", true, 'X-A: a' }, { 'table of headers', true, { 'a' } }, { 'table of headers, not 5', 403, 5 },
      { 'a string', true, { ['X-A'] = true } }, { 'a string', true, { ['X-A'] = { {} } } },
      { 'body', 403, {}, {} }, { 'a string, not true', 403, {}, true }, { '204 has no body', 204, {}, 'x' }, { '205 has no body', 205, {}, 'x' },
    }
    for _, name in ipairs { 'Upgrade', 'connection', 'Sec-WebSocket-Accept', 'sec-websocket-protocol',
      'Sec-WebSocket-Extensions', 'SEC-WEBSOCKET-X', 'Content-Length', 'Transfer-Encoding' } do
      cases[#cases + 1] = { 'sets this header itself', true, { [name] = 'x' } }
      cases[#cases + 1] = { 'sets this header itself', 403, { [name] = { 'x' } } }
    end
    for i, case in ipairs(cases) do
      local ctx, port, errors = server(nil, unpack(case, 2, 4))
      local _, body = expect_refusal(ctx, port, 500)
      assert.equal(1, #errors, i)
      contains(errors[1], 'on_upgrade: ')
      contains(errors[1], case[1])
      assert.is_nil(body:find('X-A', 1, true))
      ctx:destroy()
    end
  end)

  it('answers with 500 when it raises an error', function()
    local ctx, port, errors = server { on_upgrade = function() error 'the reason' end }
    local _, body = expect_refusal(ctx, port, 500)
    assert.is_nil(body:find 'reason')
    contains(errors[1], 'the reason')
    contains(errors[1], 'traceback')
    ctx, port, errors = server { on_upgrade = function(request)
      request:accept()
      error 'after all'
    end }
    expect_refusal(ctx, port, 500)
    contains(errors[1], 'after all')
  end)

  it('has to be a function', function()
    for _, value in ipairs { 1, 'x', {}, true } do
      local ok, message = pcall(pair.context, { on_upgrade = value })
      assert.is_false(ok)
      contains(message, "option 'on_upgrade' is ")
    end
  end)

  -- --- What else may happen in it ---

  it('may destroy the context', function()
    local ctx, port, result
    ctx, port = pair.context({ on_upgrade = function(request)
      ctx:destroy()
      result = { request:accept() }
      return true
    end }, function() error 'opened' end)
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    c:expect_loss()
    assert.same({ nil, 'closed' }, result)
  end)

  it('may serve others, and ask for itself', function()
    local ctx, port, inner
    local opened = 0
    ctx, port = pair.context({ on_upgrade = function(request)
      if request.path == '/outer' then inner = client.open(ctx, port, { protocol = 'p', path = '/inner' }) end
      return true
    end }, function() opened = opened + 1 end)
    client.open(ctx, port, { protocol = 'p', path = '/outer' })
    assert.equal(2, opened)
    inner:expect_nothing()
  end)

  it('sees a client that left while it served others', function()
    local ctx, port, result, c
    ctx, port = pair.context({ on_upgrade = function(request)
      c:reset()
      loop.step(ctx, 0)
      result = { request:accept() }
    end, on_error = function() end }, function() end)
    c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    loop.serve_until(ctx, function() return result end)
    assert.is_truthy(result[1] == true or result[2] == 'closed')
  end)
end)
