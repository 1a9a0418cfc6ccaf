-- SPDX-License-Identifier: MIT
-- trusted_proxies and proxy_protocol: who is behind a proxy.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'

local local_hosts = { '127.0.0.0/8', '::1' }

-- What is asked of a server: it answers with address and is_secure of each request, and writes these to websockets.
local function server(config)
  local settings = { trusted_proxies = local_hosts }
  for name, value in pairs(config or {}) do
    settings[name] = value
  end
  local function describe_request(request)
    return ('%s %s'):format(request.address, request.is_secure and 'secure' or 'plain')
  end
  settings.on_http = function(ws)
    local request = ws:request()
    assert(select(2, ws:get_peer_addresses()) == request.address)
    ws:respond(200, nil, describe_request(request))
  end
  return pair.context(settings, function(ws)
    assert(select(2, ws:get_peer_addresses()) == ws:request().address)
    ws:write(describe_request(ws:request()))
    ws:on_receive(function(_, data) ws:write(data .. ' ' .. select(2, ws:get_peer_addresses())) end)
  end)
end

describe('trusted_proxies', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local function ask(c, ...)
    c:send(http.request('/', { headers = { ... } }))
    local status, _, body = c:read_response()
    return status == 200 and body or status
  end

  it('tell the address of their client, by each request', function()
    local ctx, port = server()
    local c = client.connect(ctx, port)
    assert.equal('192.0.2.1 plain', ask(c, 'X-Forwarded-For: 192.0.2.1'))
    assert.equal('127.0.0.1 plain', ask(c))
    assert.equal('2001:db8::1 secure', ask(c, 'X-Forwarded-For: 2001:db8::1', 'X-Forwarded-Proto: https'))
    assert.equal('198.51.100.9 plain', ask(c, 'Forwarded: for=198.51.100.9;proto=http'))
    assert.equal('2001:db8::2 secure', ask(c, 'Forwarded: for="[2001:db8::2]:80";proto=https'))
    assert.equal('127.0.0.1 secure', ask(c, 'X-Forwarded-Proto: https'))
    assert.equal('127.0.0.1 plain', ask(c))
  end)

  it('tell it of websockets', function()
    local ctx, port = server()
    local headers = { ['X-Forwarded-For'] = '203.0.113.5', ['X-Forwarded-Proto'] = 'https' }
    local c = client.open(ctx, port, { protocol = 'p', headers = headers })
    c:expect_text '203.0.113.5 secure'
    c:text 'still'
    c:expect_text 'still 203.0.113.5'
  end)

  it('are followed up to the first that is not one', function()
    local ctx, port = server { trusted_proxies = { '127.0.0.1', '10.0.0.0/8' } }
    local c = client.connect(ctx, port)
    local addresses = {
      ['6.6.6.6, 192.0.2.1'] = '192.0.2.1',
      ['6.6.6.6, 192.0.2.1, 10.1.1.1, 10.2.2.2'] = '192.0.2.1',
      ['10.1.1.1, 10.2.2.2'] = '10.1.1.1',
      ['127.0.0.1, 192.0.2.1'] = '192.0.2.1',
      ['192.0.2.1, unknown'] = '127.0.0.1',
      ['192.0.2.1, rubbish, 10.1.1.1'] = '10.1.1.1',
      ['192.0.2.1:5678'] = '192.0.2.1',
      ['[2001:db8::1]:5678, 10.1.1.1:80'] = '2001:db8::1',
      [''] = '127.0.0.1',
      [','] = '127.0.0.1',
    }
    for list, address in pairs(addresses) do
      assert.equal(address .. ' plain', ask(c, 'X-Forwarded-For: ' .. list), list)
    end
    assert.equal('192.0.2.1 plain', ask(c, 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 192.0.2.1'))
    assert.equal('192.0.2.1 secure',
      ask(c, 'Forwarded: for=6.6.6.6;proto=http', 'Forwarded: for=192.0.2.1;proto=https, for=10.1.1.1'))
    assert.equal('127.0.0.1 plain', ask(c, 'Forwarded: for=_hidden'))
  end)

  it('must not contradict themselves', function()
    local ctx, port = server()
    local function agree(...) return ask(client.connect(ctx, port), ...) end
    assert.equal('192.0.2.1 plain', agree('Forwarded: for=192.0.2.1', 'X-Forwarded-For: 192.0.2.1'))
    assert.equal(400, agree('Forwarded: for=6.6.6.6', 'X-Forwarded-For: 192.0.2.1'))
    assert.equal(400, agree('Forwarded: for=192.0.2.1;proto=https', 'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-Proto: http'))
  end)

  it('may tell something malformed, which tells nothing', function()
    local ctx, port = server { trusted_proxies = { '127.0.0.1', '10.0.0.0/8' } }
    local c = client.connect(ctx, port)
    for _, list in ipairs { 'a', 'a,', ',', '192.0.2.1,', '192.0.2.1, a', '192.0.2.1 192.0.2.2', '"192.0.2.1"' } do
      assert.equal('127.0.0.1 plain', ask(c, 'X-Forwarded-For: ' .. list), list)
      assert.equal('10.1.1.1 plain', ask(c, 'X-Forwarded-For: ' .. list .. ', 10.1.1.1'), list)
      assert.equal('198.51.100.9 plain', ask(c, 'X-Forwarded-For: ' .. list .. ', 198.51.100.9'), list)
    end
    for _, list in ipairs { 'for="', 'for=1.2.3.4:5', 'for=192.0.2.1, for', 'for=192.0.2.1, for="a', 'rubbish',
      'for="192.0.2.1' } do
      assert.equal('127.0.0.1 plain', ask(c, 'Forwarded: ' .. list), list)
      assert.equal('10.1.1.1 plain', ask(c, 'Forwarded: ' .. list .. ', for=10.1.1.1'), list)
      assert.equal('198.51.100.9 secure', ask(c, 'Forwarded: ' .. list .. ', for=198.51.100.9;proto=https'), list)
      -- Of two the one that is well formed counts.
      assert.equal('198.51.100.9 plain', ask(c, 'Forwarded: ' .. list, 'X-Forwarded-For: 198.51.100.9'), list)
      assert.equal('127.0.0.1 plain', ask(c, 'Forwarded: ' .. list, 'X-Forwarded-For: a,'), list)
      assert.equal('127.0.0.1 plain', ask(c, 'Forwarded: ' .. list .. ', for=10.1.1.1', 'X-Forwarded-For: a'), list)
    end
    assert.equal('198.51.100.9 plain', ask(c, 'Forwarded: for=198.51.100.9', 'X-Forwarded-For:'))
    -- What is withheld is not malformed.
    assert.equal(400, ask(c, 'Forwarded: for=_hidden', 'X-Forwarded-For: 6.6.6.6'))
  end)

  it('are nobody by default, nor who is not in the list', function()
    for _, config in ipairs { { trusted_proxies = {} }, { trusted_proxies = { '10.0.0.0/8', 'unix' } } } do
      local ctx, port = server(config)
      local c = client.connect(ctx, port)
      assert.equal('127.0.0.1 plain', ask(c, 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https'))
      assert.equal('127.0.0.1 plain', ask(c, 'Forwarded: for=6.6.6.6;proto=https'))
      assert.equal('127.0.0.1 plain', ask(c, 'Forwarded: for=6.6.6.6', 'X-Forwarded-For: 5.5.5.5'))
    end
  end)

  it('may be on a unix socket', function()
    for _, case in ipairs { { 'unix', '192.0.2.1 secure' }, { '::/0', ' plain' } } do
      local path = os.tmpname()
      os.remove(path)
      local ctx = server { port = 0, listen = { 'unix:' .. path }, trusted_proxies = { case[1] } }
      local output = command.run(ctx, ("curl -s --unix-socket %s -H 'X-Forwarded-For: 192.0.2.1' "
        .. "-H 'X-Forwarded-Proto: https' http://localhost/"):format(path))
      assert.equal(case[2], output)
      ctx:destroy()
    end
  end)

  it('do not count as one client', function()
    local ctx, port = server { max_connections_per_ip = 2 }
    local function open(address)
      local c = client.connect(ctx, port)
      return c, c:handshake { protocol = 'p', headers = { ['X-Forwarded-For'] = address } }
    end
    local kept = {}
    for i = 1, 3 do
      for _ = 1, 2 do
        local c, status = open('192.0.2.' .. i)
        assert.equal(101, status)
        kept[#kept + 1] = c
      end
    end
    assert.equal(429, (select(2, open '192.0.2.1')))
    kept[1]:close()
    loop.serve_until(ctx, function()
      local c, status = open '192.0.2.1'
      c:close()
      return status == 101
    end)
  end)

  it('give back the place of each client that they have spoken for', function()
    for _, config in ipairs { { max_connections = 2 }, { max_connections_per_ip = 1 } } do
      local ctx, port = server(config)
      local c, d = client.connect(ctx, port), client.connect(ctx, port)
      for i = 1, 4 do
        assert.equal(('192.0.2.%d plain'):format(i), ask(c, 'X-Forwarded-For: 192.0.2.' .. i))
        assert.equal('127.0.0.1 plain', ask(d))
      end
      assert.equal('192.0.2.1 plain', ask(d, 'X-Forwarded-For: 192.0.2.1'))
      ctx:destroy()
    end
  end)

  it('are checked', function()
    for _, value in ipairs { '10.0.0.0/8', 5, { 'localhost' }, { '10.0.0.0/33' }, { '' }, { 5 }, { '1.2.3.4:80' } } do
      local ok, message = pcall(pair.context, { trusted_proxies = value })
      assert.is_false(ok)
      assert.is_truthy(message:find("option 'trusted_proxies' is ", 1, true), message)
    end
  end)
end)

describe('proxy_protocol', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  local signature = '\r\n\r\n\0\r\nQUIT\n'

  local function binary(command_byte, family, body)
    return signature .. string.char(command_byte, family) .. client.big_endian(#body, 2) .. body
  end

  local tcp4 = '\192\0\2\7' .. '\10\0\0\1' .. '\1\2\3\4'
  local headers = {
    ['192.0.2.7'] = 'PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n',
    ['2001:db8::7'] = 'PROXY TCP6 2001:db8::7 ::1 56324 443\r\n',
    ['192.0.2.7 '] = binary(33, 17, tcp4),
    ['192.0.2.7  '] = binary(33, 17, tcp4 .. ('\4'):rep(5000)),
    ['2001:db8::7 '] = binary(33, 33, '\32\1\13\184' .. ('\0'):rep(11) .. '\7' .. ('\1'):rep(20)),
    ['127.0.0.1'] = 'PROXY UNKNOWN\r\n',
    ['127.0.0.1 '] = binary(32, 0, ''),
    ['127.0.0.1  '] = binary(33, 0, 'xyz'),
    [''] = binary(33, 49, ('x'):rep(216)),
  }

  local function expected(name, secure)
    return name:match '^%S*' .. (secure and ' secure' or ' plain')
  end

  local function proxied(config)
    local settings = { proxy_protocol = true }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    return server(settings)
  end

  it('tells the address of a client', function()
    local ctx, port = proxied()
    for name, header in pairs(headers) do
      local c = client.connect(ctx, port)
      c:send(header .. client.request { protocol = 'p' })
      assert.equal(101, (c:read_head()))
      c:expect_text(expected(name))
      c:finish(1000)
    end
  end)

  it('may come in pieces', function()
    local ctx, port = proxied()
    for name, header in pairs(headers) do
      local c = client.connect(ctx, port)
      if #header < 1000 then
        c:send_split(header)
      else
        c:send_split(header, 999)
      end
      c:send(client.request { protocol = 'p' })
      assert.equal(101, (c:read_head()))
      c:expect_text(expected(name))
      c:close()
    end
  end)

  it('stands for all requests of a connection', function()
    local ctx, port = proxied()
    local c = client.connect(ctx, port)
    c:send(headers['192.0.2.7'] .. http.request '/' .. http.request '/')
    for _ = 1, 2 do
      assert.equal('192.0.2.7 plain', (select(3, c:read_response())))
    end
    -- The client is no proxy, whatever it says.
    c:send(http.request('/', { headers = { 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https' } }))
    assert.equal('192.0.2.7 plain', (select(3, c:read_response())))
  end)

  it('may tell of another trusted proxy', function()
    local ctx, port = proxied { trusted_proxies = { '127.0.0.1', '192.0.2.0/24' } }
    local c = client.connect(ctx, port)
    c:send(headers['192.0.2.7'] .. http.request('/', { headers = { 'X-Forwarded-For: 6.6.6.6' } }))
    assert.equal('6.6.6.6 plain', (select(3, c:read_response())))
  end)

  it('does not make a proxy of a client that it does not know', function()
    for _, name in ipairs { '127.0.0.1', '127.0.0.1 ', '127.0.0.1  ' } do
      local ctx, port = proxied()
      local c = client.connect(ctx, port)
      c:send(headers[name]
        .. http.request('/', { headers = { 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https' } }))
      assert.equal('127.0.0.1 plain', (select(3, c:read_response())))
    end
  end)

  it('does not make a proxy of who came by a unix socket', function()
    local ctx, port = proxied { trusted_proxies = { '127.0.0.1', 'unix' } }
    local c = client.connect(ctx, port)
    c:send(headers[''] .. http.request('/', { headers = { 'X-Forwarded-For: 6.6.6.6' } }))
    assert.equal(' plain', (select(3, c:read_response())))
  end)

  it('comes before TLS', function()
    for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
      local ctx, port = proxied(tls.config())
      for name, header in pairs(headers) do
        local plain = client.connect(ctx, port)
        plain:send_split(header, 1000)
        local c = client.adopt(ctx, assert(tls.wrap(ctx, plain.sock, { protocol = version })))
        c:send(client.request { protocol = 'p' })
        assert.equal(101, (c:read_head()))
        c:expect_text(expected(name, true))
        c:close()
      end
      ctx:destroy()
    end
  end)

  it('is required of who is trusted', function()
    local ctx, port = proxied()
    for _, bytes in ipairs { client.request { protocol = 'p' }, http.request '/', 'PROXY TCP4 1.2.3.4\r\n',
      'PROXY UNKNOWN' .. ('x'):rep(200), signature .. 'xxxx', '\22\3\1' } do
      http.expect_refusal(ctx, port, bytes, 400)
    end
    ctx, port = proxied(tls.config())
    for _, bytes in ipairs { client.request { protocol = 'p' }, '\22\3\1', 'PROXY TCP4 1.2.3.4\r\n' } do
      local c = client.connect(ctx, port)
      c:send(bytes)
      c:expect_loss()
    end
  end)

  it('is rubbish from anybody else', function()
    for _, config in ipairs { { trusted_proxies = { '10.0.0.0/8' } }, { proxy_protocol = false } } do
      local ctx, port = proxied(config)
      for name, header in pairs(headers) do
        if #header < 1000 then
          local c = client.connect(ctx, port)
          c:send(header .. http.request '/')
          assert.equal(400, (c:read_response()), name)
          c:close()
        end
      end
      local c = client.connect(ctx, port)
      c:send(http.request '/')
      assert.equal('127.0.0.1 plain', (select(3, c:read_response())))
    end
  end)

  it('is waited for as long as for a request', function()
    local ctx, port = proxied { handshake_timeout = 0.05 }
    local c, d = client.connect(ctx, port), client.connect(ctx, port)
    c:send 'PROXY '
    c:expect_loss()
    d:expect_loss()
  end)

  it('may be all that comes', function()
    local ctx, port = proxied()
    for _, header in pairs(headers) do
      local c = client.connect(ctx, port)
      c:send(header)
      c:shutdown()
      c:expect_end()
      c = client.connect(ctx, port)
      c:send(header:sub(1, 5))
      c:reset()
    end
  end)

  it('counts clients, not proxies', function()
    local ctx, port = proxied { max_connections_per_ip = 1 }
    local function open(number)
      local c = client.connect(ctx, port)
      c:send(('PROXY TCP4 192.0.2.%d 10.0.0.1 1 1\r\n'):format(number) .. client.request { protocol = 'p' })
      return c, c:read_head()
    end
    local first, status = open(1)
    assert.equal(101, status)
    assert.equal(101, select(2, open(2)))
    assert.equal(429, select(2, open(1)))
    first:close()
    loop.serve_until(ctx, function()
      local c, result = open(1)
      c:close()
      return result == 101
    end)
    -- Nobody keeps the place that the proxy had before it spoke.
    ctx, port = proxied { max_connections = 2 }
    for i = 1, 4 do
      local c, result = open(i)
      assert.equal(101, result)
      c:expect_text()
      c:finish(1000)
    end
    -- Over TLS it cannot be told.
    local config = tls.config { max_connections_per_ip = 1 }
    ctx, port = proxied(config)
    local plain = client.connect(ctx, port)
    plain:send(headers['192.0.2.7'])
    client.adopt(ctx, assert(tls.wrap(ctx, plain.sock, {})))
    local other = client.connect(ctx, port)
    other:send(headers['192.0.2.7'])
    other:expect_loss()
  end)

  it('needs trusted_proxies', function()
    for _, value in ipairs { {}, false } do
      local ok, message = pcall(pair.context, { proxy_protocol = true, trusted_proxies = value or nil })
      assert.is_false(ok)
      assert.is_truthy(message:find('proxy_protocol needs trusted_proxies', 1, true))
    end
    assert.is_false((pcall(pair.context, { proxy_protocol = 1 })))
  end)
end)
