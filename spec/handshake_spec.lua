-- SPDX-License-Identifier: MIT
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'

local is_slow = loop.time_factor > 1

describe('the opening handshake', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  -- A handshake made of these lines.
  local function lines(...)
    return table.concat({ ... }, '\r\n') .. '\r\n\r\n'
  end

  local usual = { 'GET / HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
    'Sec-WebSocket-Key: ' .. client.key, 'Sec-WebSocket-Version: 13' }

  -- The usual lines with others behind them.
  local function usual_and(...)
    return table.concat(usual, '\r\n') .. '\r\n' .. lines(...)
  end

  -- A server with these protocols that must not open any websocket.
  local function closed_server(config, ...)
    local copy = { protocols = {} }
    for name, value in pairs(config or {}) do
      copy[name] = value
    end
    for _, name in ipairs { ... } do
      copy.protocols[name] = function() error 'a websocket was opened' end
    end
    return loop.context(copy)
  end

  -- A server that says which protocol it was asked for.
  local function naming_server(config, ...)
    local copy = { protocols = {} }
    for name, value in pairs(config or {}) do
      copy[name] = value
    end
    for _, name in ipairs { ... } do
      copy.protocols[name] = function(ws) ws:write(name) end
    end
    return loop.context(copy)
  end

  -- --- The answer ---

  it('answers with exactly these headers', function()
    local ctx, port = pair.context()
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    local expected = lines('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'Sec-WebSocket-Protocol: p')
    assert.equal(expected, c:read_until '\r\n\r\n')
    c:expect_nothing()
  end)

  it('names no subprotocol when none was offered', function()
    local ctx, port = naming_server(nil, 'only')
    local c = client.connect(ctx, port)
    local status, headers = c:handshake()
    assert.equal(101, status)
    assert.is_nil(headers['sec-websocket-protocol'])
    c:expect_text 'only'
  end)

  it('computes the accept key of other keys', function()
    local ctx, port = pair.context()
    local known = {
      ['x3JJHMbDL1EzLkh9GBhXDw=='] = 'HSmrc0sMlYUkAGmm5OPpG2HaGWk=',
      ['AAAAAAAAAAAAAAAAAAAAAA=='] = 'ICX+Yqv66kxgM0FcWaLWlFLwTAI=',
    }
    for key, accept in pairs(known) do
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { headers = { ['Sec-WebSocket-Key'] = key } }
      assert.equal(101, status)
      assert.equal(accept, headers['sec-websocket-accept'])
    end
  end)

  it('takes headers in any order, case and spacing, and lists', function()
    local ctx, port = pair.context()
    for _, request in ipairs {
      lines('GET /a?b HTTP/1.1', 'sec-websocket-version:13', 'SEC-WEBSOCKET-KEY:' .. client.key,
        'connection:keep-alive,UPGRADE', 'upgrade:WebSocket', 'host:x'),
      lines('GET / HTTP/1.1', 'Host: x:80', 'Upgrade: h2c, websocket', 'Connection: close \t, \tUpgrade ',
        'Sec-WebSocket-Key: \t' .. client.key .. ' \t', 'Sec-WebSocket-Version: \t13\t', 'Origin: null'),
      lines('GET / HTTP/1.1', 'Host: [::1]:80', 'Upgrade: websocket', 'Connection: keep-alive',
        'Connection: Upgrade', 'Sec-WebSocket-Key: ' .. client.key, 'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Extensions: x; y="z"'),
      '\r\n' .. table.concat(usual, '\r\n') .. '\r\n\r\n',
    } do
      local c = client.connect(ctx, port)
      c:send(request)
      local status, headers = c:read_head()
      assert.equal(101, status, request)
      assert.equal(client.accept, headers['sec-websocket-accept'])
      assert.is_nil(headers['sec-websocket-extensions'])
      c:close()
    end
  end)

  -- --- Subprotocols ---

  it('chooses the first subprotocol that is offered and served', function()
    local ctx, port = naming_server(nil, 'a', 'b', 'c')
    local choices = { ['a'] = 'a', ['c, b, a'] = 'c', ['x, b'] = 'b', ['x ,\ty,c'] = 'c', [',, b ,'] = 'b' }
    for offer, chosen in pairs(choices) do
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { protocol = offer }
      assert.equal(101, status)
      assert.equal(chosen, headers['sec-websocket-protocol'])
      c:expect_text(chosen)
    end
  end)

  it('knows subprotocols by their exact name', function()
    local ctx, port = naming_server(nil, 'chat', 'Chat', 'chatter')
    for _, name in ipairs { 'chat', 'Chat', 'chatter' } do
      client.open(ctx, port, name):expect_text(name)
    end
    http.expect_refusal(ctx, port, client.request { protocol = 'CHAT' }, 400)
  end)

  it('takes the offers of several headers together', function()
    local ctx, port = naming_server(nil, 'a', 'b')
    local c = client.connect(ctx, port)
    c:send(usual_and('Sec-WebSocket-Protocol: x, y', 'Origin: null', 'Sec-WebSocket-Protocol: b',
      'Sec-WebSocket-Protocol: a'))
    local status, headers = c:read_head()
    assert.equal(101, status)
    assert.equal('b', headers['sec-websocket-protocol'])
  end)

  it('takes default_protocol when none is offered', function()
    local ctx, port = naming_server({ default_protocol = 'b' }, 'a', 'b', 'c')
    local c = client.connect(ctx, port)
    local status, headers = c:handshake()
    assert.equal(101, status)
    assert.is_nil(headers['sec-websocket-protocol'])
    c:expect_text 'b'
    client.open(ctx, port, 'c'):expect_text 'c'
  end)

  it('refuses who offers none when there are several', function()
    local ctx, port = closed_server(nil, 'a', 'b')
    local _, body = http.expect_refusal(ctx, port, client.request(), 400)
    assert.is_truthy(body:find('Sec-WebSocket-Protocol', 1, true))
  end)

  it('refuses unknown subprotocols and says why', function()
    for _, config in ipairs { {}, { default_protocol = 'a' } } do
      local ctx, port = closed_server(config, 'a')
      local headers, body = http.expect_refusal(ctx, port, client.request { protocol = 'x, y' }, 400)
      assert.is_truthy(headers['content-type']:find('text/plain', 1, true))
      assert.is_truthy(body:find('subprotocol', 1, true))
      assert.is_truthy(body:find('Sec-WebSocket-Protocol', 1, true))
    end
  end)

  it('refuses malformed lists of subprotocols', function()
    local ctx, port = closed_server(nil, 'a')
    for _, offer in ipairs { 'a, b c', 'a/b, a', 'a, "b"', 'a, a', 'a, b, b', 'a;q=1', 'a, \195\164' } do
      local _, body = http.expect_refusal(ctx, port, client.request { protocol = offer }, 400)
      assert.is_truthy(body:find('malformed', 1, true))
    end
    http.expect_refusal(ctx, port, usual_and('Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: a'), 400)
  end)

  it('takes an empty list of subprotocols for none', function()
    local ctx, port = pair.context()
    for _, offer in ipairs { '', ' ', ',', ' , ,' } do
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { protocol = offer }
      assert.equal(101, status)
      assert.is_nil(headers['sec-websocket-protocol'])
    end
    ctx, port = closed_server(nil, 'a', 'b')
    http.expect_refusal(ctx, port, client.request { protocol = '' }, 400)
  end)

  -- --- Extensions ---

  it('declines extensions, whatever they are', function()
    local ctx, port = pair.context()
    for _, offer in ipairs { 'x', 'x; a; b=1; c="d"', 'x, , y;z', 'permessage-deflate; client_max_window_bits' } do
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { headers = { ['Sec-WebSocket-Extensions'] = offer } }
      assert.equal(101, status)
      assert.is_nil(headers['sec-websocket-extensions'])
    end
  end)

  it('takes an empty list of extensions for none', function()
    local ctx, port = pair.context { compression = true }
    for _, offer in ipairs { '', ' ', ',', ' , ,' } do
      local c = client.connect(ctx, port)
      local status, headers = c:handshake { headers = { ['Sec-WebSocket-Extensions'] = offer } }
      assert.equal(101, status)
      assert.is_nil(headers['sec-websocket-extensions'])
    end
  end)

  it('takes an absolute target, and a version that it will learn', function()
    local ctx, port = pair.context()
    local usual = client.request { protocol = 'p' }
    for _, line in ipairs { 'GET ws://x/a?b HTTP/1.1', 'GET WSS://x HTTP/1.1', 'GET http://x/ HTTP/1.1',
      'GET / HTTP/1.2', 'GET / HTTP/1.9' } do
      local c = client.connect(ctx, port)
      c:send((usual:gsub('^[^\r]*', line)))
      local status, _, head = c:read_head()
      assert.equal(101, status, line)
      c:close()
    end
    for _, line in ipairs { 'GET ws:///a HTTP/1.1', 'GET ws:a HTTP/1.1' } do
      http.expect_refusal(ctx, port, (usual:gsub('^[^\r]*', line)), 400)
    end
    http.expect_refusal(ctx, port, (usual:gsub('^[^\r]*', 'GET / HTTP/1.0')), 400)
    http.expect_refusal(ctx, port, (usual:gsub('^[^\r]*', 'GET / HTTP/2.1')), 505)
  end)

  it('refuses malformed lists of extensions', function()
    local ctx, port = closed_server(nil, 'p')
    for _, offer in ipairs { 'x y', 'x;', 'x; a=', 'x; =1', 'x; a="b', 'x; a="b c"', 'x, y;' } do
      local request = client.request { headers = { ['Sec-WebSocket-Extensions'] = offer } }
      local _, body = http.expect_refusal(ctx, port, request, 400)
      assert.is_truthy(body:find('Sec-WebSocket-Extensions', 1, true))
    end
    http.expect_refusal(ctx, port, usual_and('Sec-WebSocket-Extensions: x', 'Sec-WebSocket-Extensions: ;'), 400)
  end)

  -- --- What is refused ---

  it('asks for version 13', function()
    local ctx, port = closed_server(nil, 'p')
    for _, version in ipairs { '12', '8', '0', '14', '013', '13, 8', '13.0', '-13', 'x', '255', '1' } do
      local request = client.request { headers = { ['Sec-WebSocket-Version'] = version } }
      local headers = http.expect_refusal(ctx, port, request, 426)
      assert.equal('13', headers['sec-websocket-version'])
      assert.equal('websocket', headers.upgrade)
    end
  end)

  it('wants a version', function()
    local ctx, port = closed_server(nil, 'p')
    http.expect_refusal(ctx, port, client.request { headers = { ['Sec-WebSocket-Version'] = false } }, 400)
    http.expect_refusal(ctx, port, usual_and 'Sec-WebSocket-Version: 13', 400)
    http.expect_refusal(ctx, port, usual_and 'Sec-WebSocket-Version: 8', 400)
  end)

  it('takes GET only', function()
    local ctx, port = closed_server(nil, 'p')
    for _, method in ipairs { 'POST', 'PUT', 'DELETE', 'OPTIONS', 'get', 'GETX', 'PURGE' } do
      local headers = http.expect_refusal(ctx, port, client.request { method = method }, 405)
      assert.equal('GET', headers.allow)
    end
    local c = client.connect(ctx, port)
    c:send(client.request { method = 'HEAD' })
    local status, headers = c:read_response(true)
    assert.equal(405, status)
    assert.equal('GET', headers.allow)
    c:expect_end()
  end)

  it('wants a key of 16 bytes in base64', function()
    local ctx, port = closed_server(nil, 'p')
    for _, key in ipairs {
      false, '', 'x', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZQ===',
      'dGhlIHNhbXBsZSBub25jZR==', 'dGhlIHNhbXBsZSBub25jZQ=x', 'dGhlIHNhbXBsZSBub25j_Q==',
      'dGhlIHNhbXBsZSBub25j', 'dGhlIHNhbXBsZSBub25jZXhY', 'dGhlIHNhbXBs ZSBub25jZQ==',
      'dGhlIHNhbXBsZSBub25jZQ==, x', ('A'):rep(200),
    } do
      http.expect_refusal(ctx, port, client.request { headers = { ['Sec-WebSocket-Key'] = key } }, 400)
    end
    http.expect_refusal(ctx, port, usual_and('Sec-WebSocket-Key: ' .. client.key), 400)
    http.expect_refusal(ctx, port, usual_and('Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='), 400)
  end)

  it('wants one Host', function()
    local ctx, port = closed_server(nil, 'p')
    http.expect_refusal(ctx, port, client.request { headers = { Host = false } }, 400)
    http.expect_refusal(ctx, port, client.request { headers = { Host = 'a, b' } }, 400)
    http.expect_refusal(ctx, port, client.request { headers = { Host = 'a b' } }, 400)
    http.expect_refusal(ctx, port, client.request { headers = { Host = 'a/b' } }, 400)
    http.expect_refusal(ctx, port, usual_and 'Host: localhost', 400)
  end)

  it('wants the option Upgrade in Connection', function()
    local ctx, port = closed_server(nil, 'p')
    local others = { false, '', 'keep-alive', 'close', 'Upgraded', 'Up grade', 'websocket', '"Upgrade"' }
    for _, value in ipairs(others) do
      http.expect_refusal(ctx, port, client.request { headers = { Connection = value } }, 400)
    end
  end)

  it('takes a request for another upgrade as an ordinary one', function()
    local uris = {}
    local ctx, port = http.context(function(_, uri) uris[#uris + 1] = uri end)
    for _, value in ipairs { false, '', 'h2c', 'websockets', 'web socket', 'TLS/1.0' } do
      local c = client.connect(ctx, port)
      assert.equal(404, (c:handshake { path = '/plain', headers = { Upgrade = value } }))
      c:close()
    end
    assert.same({ '/plain', '/plain', '/plain', '/plain', '/plain', '/plain' }, uris)
  end)

  it('wants HTTP/1.1', function()
    local ctx, port = closed_server(nil, 'p')
    http.expect_refusal(ctx, port, client.request { version = 'HTTP/1.0' }, 400)
    http.expect_refusal(ctx, port, client.request { version = 'HTTP/2.0' }, 505)
    http.expect_refusal(ctx, port, client.request { version = 'HTTP/1' }, 400)
    http.expect_refusal(ctx, port, client.request { version = 'http/1.1' }, 400)
  end)

  it('refuses content', function()
    local ctx, port = closed_server(nil, 'p')
    http.expect_refusal(ctx, port, usual_and 'Content-Length: 5' .. 'hello', 400)
    http.expect_refusal(ctx, port, usual_and 'Transfer-Encoding: chunked' .. '0\r\n\r\n', 400)
    local headers = { ['Content-Length'] = '5' }
    http.expect_refusal(ctx, port, client.request { method = 'POST', headers = headers }, 400)
  end)

  it('refuses what is not HTTP at its first bytes', function()
    local ctx, port = closed_server(nil, 'p')
    for _, bytes in ipairs {
      '\22\3\1\2\0\1\0\1\252\3\3', -- the beginning of a TLS hello
      '\22', '\0', '\255', ' ', '{', '\129\133\0\0\0\0hello', 'hello\r\n', '\r\r', 'GET\t/ HTTP/1.1\r\n',
      '\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n',
    } do
      http.expect_refusal(ctx, port, bytes, 400)
    end
  end)

  it('refuses malformed requests', function()
    local ctx, port = closed_server(nil, 'p')
    for _, bytes in ipairs {
      'GET\r\n', 'GET /\r\n\r\n', 'GET / \r\n\r\n', 'GET  HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET / x HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET / HTTP/1.1 \r\nHost: x\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nA: \1\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nA: b\rc: d\r\n\r\n', 'GET /\127 HTTP/1.1\r\nHost: x\r\n\r\n',
    } do
      http.expect_refusal(ctx, port, bytes, 400)
    end
  end)

  it('refuses lines that end with LF only', function()
    local ctx, port = closed_server(nil, 'p')
    local request = client.request()
    http.expect_refusal(ctx, port, (request:gsub('\r\n', '\n')), 400)
    http.expect_refusal(ctx, port, (request:gsub('\r\n', '\n', 1)), 400)
    http.expect_refusal(ctx, port, request:sub(1, -3) .. '\n', 400)
  end)

  it('refuses folded headers', function()
    local ctx, port = closed_server(nil, 'p')
    http.expect_refusal(ctx, port, usual_and('X-Folded: a', ' b'), 400)
    http.expect_refusal(ctx, port, usual_and('X-Folded: a', '\tb'), 400)
    http.expect_refusal(ctx, port, lines(' folded', 'Host: x'), 400)
  end)

  it('refuses a head over max_header_size, before its end', function()
    local ctx, port = closed_server({ max_header_size = 1000 }, 'p')
    http.expect_refusal(ctx, port, client.request { headers = { ['X-Long'] = ('x'):rep(1000) } }, 431)
    http.expect_refusal(ctx, port, 'GET / HTTP/1.1\r\nX-Long: ' .. ('x'):rep(1000), 431)
    http.expect_refusal(ctx, port, 'GET / HTTP/1.1\r\n' .. ('a: b\r\n'):rep(200), 431)
    http.expect_refusal(ctx, port, 'GET /' .. ('x'):rep(1000), 414)
    http.expect_refusal(ctx, port, ('G'):rep(1000), 501)
  end)

  it('takes a head of exactly max_header_size', function()
    local ctx, port = pair.context { max_header_size = 1000 }
    local length = #client.request { headers = { ['X-Long'] = '' } }
    local headers = { ['X-Long'] = ('x'):rep(1000 - length) }
    client.open(ctx, port, { headers = headers })
    headers['X-Long'] = headers['X-Long'] .. 'x'
    http.expect_refusal(ctx, port, client.request { headers = headers }, 431)
  end)

  it('answers who is sending still', function()
    local ctx, port = closed_server(nil, 'p')
    local rest = ('x'):rep(4 * 1024 * 1024)
    http.expect_refusal(ctx, port, client.request { version = 'HTTP/1.0', first = rest }, 400)
  end)

  -- --- Segments ---

  local function echo(ws)
    ws:on_receive(function(self, data, type) self:write(data, type) end)
  end

  it('takes what came in the same segment as frames', function()
    local ctx, port = pair.context(nil, echo)
    local frames = client.frame(client.TEXT, 'one') .. client.frame(client.PING, 'two') ..
      client.frame(client.TEXT, 'thr', { fin = false }) .. client.frame(client.CONTINUATION, 'ee') ..
      client.frame(client.CLOSE, client.close_body(4000))
    local c = client.open(ctx, port, { protocol = 'p', first = frames })
    c:expect_text 'one'
    c:expect_frame(client.PONG, 'two')
    c:expect_text 'three'
    c:expect_close(4000)
    c:expect_end()
  end)

  it('takes the handshake byte by byte', function()
    local ctx, port = pair.context(nil, echo)
    local c = client.connect(ctx, port)
    c:send_split(client.request { first = client.frame(client.TEXT, 'hello') })
    assert.equal(101, (c:read_head()))
    c:expect_text 'hello'
  end)

  it('takes the handshake split at any byte', function()
    local ctx, port = pair.context(nil, echo)
    local bytes = client.request { first = client.frame(client.TEXT, 'hello') }
    for position = 1, #bytes - 1, is_slow and 13 or 1 do
      local c = client.connect(ctx, port)
      c:send(bytes:sub(1, position))
      loop.step(ctx)
      loop.step(ctx)
      c:send(bytes:sub(position + 1))
      assert.equal(101, (c:read_head()))
      c:expect_text 'hello'
      c:close()
    end
  end)

  it('comes after ordinary requests, with the same websocket', function()
    local requested, opened, count = nil, nil, 0
    local ctx, port = loop.context {
      protocols = { p = function(ws)
        opened = ws
        echo(ws)
      end },
      on_http = function(ws)
        requested = ws
        count = count + 1
      end,
    }
    local c = client.connect(ctx, port)
    c:send(http.request '/')
    assert.equal(404, (c:read_response()))
    local frame = client.frame(client.TEXT, 'hello')
    c:send(http.request '/' .. http.request '/' .. client.request { first = frame })
    assert.equal(404, (c:read_response()))
    assert.equal(404, (c:read_response()))
    assert.equal(101, (c:read_head()))
    c:expect_text 'hello'
    assert.equal(3, count)
    assert.is_true(requested == opened)
    assert.is_truthy(tostring(opened):find('open', 1, true))
    requested, opened = nil, nil
  end)

  -- --- Clients that do not go on ---

  local short_s = 0.05

  it('disconnects who sends nothing for handshake_timeout', function()
    local ctx, port = closed_server({ handshake_timeout = short_s }, 'p')
    client.connect(ctx, port):expect_loss()
    local c = client.connect(ctx, port)
    c:send '\r\n'
    c:expect_loss()
  end)

  it('answers 408 to who does not finish a request in time', function()
    local ctx, port = closed_server({ handshake_timeout = short_s, body_timeout = short_s }, 'p')
    http.expect_refusal(ctx, port, 'G', 408)
    http.expect_refusal(ctx, port, client.request():sub(1, -2), 408)
    http.expect_refusal(ctx, port, http.request('/', { method = 'POST', body = 'x' }):sub(1, -2), 408)
  end)

  it('counts handshake_timeout from the beginning', function()
    local ctx, port = closed_server({ handshake_timeout = short_s, max_header_size = 1e9 }, 'p')
    local c = client.connect(ctx, port)
    c:send 'GET / HTTP/1.1\r\nX: '
    loop.serve_until(ctx, function()
      c:send_some 'x'
      while c:pump() do end
      return c.ended or c.buffered > 0
    end, 'an answer to a request that does not end')
    assert.equal(408, (c:read_response()))
  end)

  it('knows no handshake_timeout once it is over', function()
    local c, ws, ctx, port = pair.open({ handshake_timeout = short_s }, echo)
    -- Connected later, gone earlier.
    client.connect(ctx, port):expect_loss()
    c:text 'hello'
    c:expect_text 'hello'
    assert.equal(0, ws:write 'again')
    c:expect_text 'again'
  end)

  it('forgets who resets the connection in the midst', function()
    local ctx, port = closed_server(nil, 'p')
    for _, bytes in ipairs { '', 'G', client.request():sub(1, -2) } do
      local c = client.connect(ctx, port)
      c:send(bytes)
      loop.step(ctx)
      c:reset()
      c = client.connect(ctx, port)
      c:send(bytes)
      c:reset()
    end
    http.expect_refusal(ctx, port, client.request { version = 'HTTP/1.0' }, 400)
  end)
end)
