-- SPDX-License-Identifier: MIT
-- The request object: what can be read of a request, and for how long.
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local tls = require 'spec.support.tls'
local websockets = require 'websockets'

describe('a request', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  -- The request of a websocket that is opened with these options of client.request().
  local function of_websocket(options, config)
    local found
    local settings = { on_upgrade = function(request)
      found = request
      return true
    end }
    for name, value in pairs(config or {}) do
      settings[name] = value
    end
    local ctx, port = pair.context(settings)
    options = options or {}
    options.protocol = options.protocol or 'p'
    client.open(ctx, port, options)
    return found
  end

  -- The request of these bytes, as on_http gets to see it.
  local function of_http(bytes, config)
    local found
    local c = http.open(function(ws)
      found = ws:request()
      ws:respond(200)
    end, config)
    c:send(bytes)
    assert.equal(200, (c:read_response()))
    return found
  end

  -- --- Fields ---

  it('has the words of its first line', function()
    local request = of_http(http.request('/a/b?c=d', { method = 'PUT' }))
    assert.equal('PUT', request.method)
    assert.equal('/a/b?c=d', request.uri)
    assert.equal('/a/b', request.path)
    assert.equal('c=d', request.query_string)
    assert.equal('1.1', request.http_version)
    assert.equal('1.0', of_http(http.request('/', { version = 'HTTP/1.0' })).http_version)
  end)

  it('has a decoded path', function()
    local paths = { ['/'] = '/', ['/a%20b+c%2Fd'] = '/a b+c/d', ['/%C3%A9%00%41?x'] = '/\195\169\0A',
      ['/100%'] = '/100%', ['/%zz%2'] = '/%zz%2', ['http://other/x?y'] = '/x', ['/?'] = '/' }
    for uri, path in pairs(paths) do
      assert.equal(path, of_http(http.request(uri)).path, uri)
    end
  end)

  it('has the fields of its query', function()
    local queries = {
      ['/'] = {},
      ['/?'] = {},
      ['/?a=1&b=x+y%26%3D&c'] = { a = '1', b = 'x y&=', c = '' },
      ['/?a=1&a=2'] = { a = '2' },
      ['/?&&=x&%61=1'] = { [''] = 'x', a = '1' },
    }
    for uri, query in pairs(queries) do
      assert.same(query, of_http(http.request(uri)).query, uri)
    end
    assert.equal('', of_http(http.request '/').query_string)
  end)

  it('has headers, whose names have no case', function()
    local request = of_http(http.request('/', { headers = { 'X-One: 1', 'x-TWO: a', 'X-Two: b', 'X-Empty:' } }))
    local headers = request.headers
    assert.equal('1', headers['X-One'])
    assert.equal('1', headers['x-one'])
    assert.equal('1', headers['X-ONE'])
    assert.equal('a, b', headers['X-Two'])
    assert.equal('', headers['x-empty'])
    assert.equal('localhost', headers.Host)
    assert.is_nil(headers['x-three'])
    assert.is_nil(headers[1])
    assert.is_nil(headers[true])
    local all = {}
    for name, value in pairs(headers) do
      all[name] = value
    end
    assert.same({ host = 'localhost', ['x-one'] = '1', ['x-two'] = 'a, b', ['x-empty'] = '' }, all)
  end)

  it('has cookies', function()
    local request = of_http(http.request('/', { headers = { 'Cookie: a=1; b="x y"; a=2; c', 'Cookie: d=e=f; b=3' } }))
    assert.same({ a = '1', b = '"x y"', d = 'e=f' }, request.cookies)
    assert.equal('a=1; b="x y"; a=2; c; d=e=f; b=3', request.headers.cookie)
    assert.same({}, of_http(http.request '/').cookies)
  end)

  it('has the protocols that were offered, and the one that was chosen', function()
    local request = of_websocket { protocol = 'x, p,y' }
    assert.same({ 'x', 'p', 'y' }, request.protocols)
    assert.equal('p', request.protocol)
    request = of_websocket { headers = { ['Sec-WebSocket-Protocol'] = false } }
    assert.same({}, request.protocols)
    assert.equal('p', request.protocol)
    assert.is_nil(of_http(http.request '/').protocol)
  end)

  it('has a body', function()
    assert.equal('', of_http(http.request '/').body)
    assert.equal('a\0b', of_http(http.request('/', { method = 'POST', body = 'a\0b' })).body)
    assert.equal('chunks', of_http(http.request('/', { method = 'POST', chunks = { 'chu', 'nks' } })).body)
  end)

  it('has a host', function()
    assert.equal('localhost', of_websocket().host)
    assert.equal('example.org:81', of_websocket({ headers = { Host = 'example.org:81' } }).host)
    assert.is_nil(of_http(http.request('/', { version = 'HTTP/1.0', host = false })).host)
    assert.equal('example.org:82', of_http(http.request 'http://example.org:82/a?b').host)
  end)

  it('has the address of the peer', function()
    local request = of_websocket()
    assert.equal('127.0.0.1', request.address)
    assert.is_false(request.is_secure)
    assert.is_nil(request.client_certificate)
  end)

  it('has no address on a unix socket', function()
    local path, found = os.tmpname(), nil
    os.remove(path)
    local ctx = http.context(function(ws)
      found = ws:request()
      ws:respond(200)
    end, { port = 0, listen = { 'unix:' .. path } })
    command.run(ctx, ('curl -s --unix-socket %s http://localhost/'):format(path))
    assert.equal('', found.address)
    assert.is_false(found.is_secure)
  end)

  it('knows of TLS', function()
    local request = of_websocket({ tls = {} }, tls.config())
    assert.is_true(request.is_secure)
    assert.is_nil(request.client_certificate)
  end)

  it('has the certificate of the client', function()
    local folder = tls.folder 'ours'
    local required = websockets.SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT
    for _, version in ipairs { 'tlsv1_2', 'tlsv1_3' } do
      local request = of_websocket(
        { tls = { certificate = folder .. '/client.pem', key = folder .. '/client.key', protocol = version } },
        tls.config { ssl_ca_path = folder .. '/ca.pem', options = required })
      local certificate = request.client_certificate
      assert.equal(certificate, request.client_certificate)
      local shown = command.run({}, ('openssl x509 -noout -serial -fingerprint -sha256 -enddate -in %s/client.pem')
        :format(folder))
      assert.equal('CN=lua-websockets demonstration client', certificate.subject)
      assert.equal('CN=lua-websockets demonstration CA', certificate.issuer)
      assert.equal(shown:match 'serial=(%x+)', certificate.serial)
      assert.equal(shown:match('ingerprint=([%x:]+)'):gsub(':', ''):lower(), certificate.fingerprint)
      local seconds = command.run({}, ("date -u -d '%s' +%%s"):format(shown:match 'notAfter=([^\n]+)'))
      assert.equal(tonumber(seconds), certificate.not_after)
      assert.equal(365 * 86400, certificate.not_after - certificate.not_before)
    end
  end)

  it('has nothing else, and cannot be written to', function()
    local request = of_websocket()
    assert.is_nil(request.nothing)
    assert.is_nil(request[1])
    assert.is_nil(request[nil])
    assert.has_error(function() request.method = 'x' end)
  end)

  it('gives the same tables each time', function()
    local request = of_websocket()
    for _, name in ipairs { 'query', 'headers', 'cookies', 'protocols' } do
      assert.is_table(request[name])
      assert.equal(request[name], request[name])
    end
  end)

  it('has a name', function()
    assert.is_truthy(tostring(of_websocket()):find '^request: 0?x?%x+ %(answered%)$')
  end)

  it('is checked by its methods', function()
    local request = of_websocket()
    for _, name in ipairs { 'accept', 'reject', 'defer' } do
      for _, wrong in ipairs { 1, 'x', {}, io.stdout } do
        assert.has_error(function() request[name](wrong) end)
      end
    end
    local metatable = debug.getmetatable(request)
    assert.has_error(function() metatable.__index(io.stdout, 'method') end)
    metatable.__gc(request)
    metatable.__gc(request)
    assert.has_error(function() return request.method end)
  end)

  -- --- When there is one ---

  it('stays readable', function()
    local c, ctx
    local found = {}
    c, ctx = http.open(function(ws)
      found[#found + 1] = ws:request()
      ws:respond(200)
    end)
    for i = 1, 3 do
      c:send(http.request('/' .. i, { method = 'POST', body = ('x'):rep(i) }))
      assert.equal(200, (c:read_response()))
    end
    ctx:destroy()
    c:close()
    leaks.collect()
    for i = 1, 3 do
      assert.equal('/' .. i, found[i].path)
      assert.equal(('x'):rep(i), found[i].body)
      assert.equal('localhost', found[i].headers.host)
    end
  end)

  it('is the one of on_upgrade', function()
    local first, second
    local ctx, port = pair.context({ on_upgrade = function(request)
      first = request
      return true
    end }, function(ws) second = ws:request() end)
    client.open(ctx, port, 'p')
    assert.equal(first, second)
  end)

  it('is there in the function of the protocol, and later if it was asked for then', function()
    local function open(config, asks)
      local inside
      local _, ws = pair.open(config, function(ws) inside = asks and ws:request() end, { path = '/x' })
      return ws, inside
    end
    local function grant() return true end
    for _, config in ipairs { {}, { on_upgrade = grant } } do
      local ws, inside = open(config, true)
      assert.equal('/x', inside.path)
      assert.equal(inside, ws:request())
      leaks.collect()
      assert.equal(inside, ws:request())
      ws = open(config, false)
      assert.is_nil(ws:request())
      config.keep_request = true
      ws = open(config, false)
      leaks.collect()
      assert.equal('/x', ws:request().path)
      assert.equal(ws:request(), ws:request())
      ws:terminate()
      assert.is_nil(ws:request())
    end
  end)

  it('is there in a function of the protocol that serves others', function()
    local paths, ctx, port = {}, nil, nil
    ctx, port = pair.context(nil, function(ws)
      if #paths == 0 then
        paths[1] = 'outer'
        local other = client.open(ctx, port, { protocol = 'p', path = '/inner' })
        other:close()
      end
      paths[#paths + 1] = ws:request().path
    end)
    client.open(ctx, port, { protocol = 'p', path = '/outer' })
    assert.same({ 'outer', '/inner', '/outer' }, paths)
  end)

  it('is there in on_http, until the answer', function()
    local found
    local c, ctx = http.open(function(ws, uri)
      found = { ws = ws, ws:request(), ws:request() }
      assert.equal(uri, found[1].uri)
      ws:defer()
    end)
    c:send(http.request '/one')
    loop.serve_until(ctx, function() return found end)
    assert.equal(found[1], found[2])
    assert.equal(found[1], found.ws:request())
    found.ws:respond(200)
    c:read_response()
    local first = found[1]
    found = nil
    c:send(http.request '/two')
    loop.serve_until(ctx, function() return found end)
    assert.equal('/one', first.path)
    assert.equal('/two', found[1].path)
    found.ws:respond(200)
    c:read_response()
    found = nil
  end)

  it('is that of the handshake, on a connection that had others before', function()
    for _, config in ipairs { {}, { on_upgrade = function() return true end } } do
      local found = {}
      config.on_http = function(ws)
        found[1] = ws:request()
        ws:respond(200)
      end
      local ctx, port = pair.context(config, function(ws) found[2] = ws:request() end)
      local c = client.connect(ctx, port)
      c:send(http.request '/http')
      c:read_response()
      assert.equal(101, (c:handshake { protocol = 'p', path = '/ws' }))
      assert.equal('/http', found[1].path)
      assert.equal('/ws', found[2].path)
    end
  end)

  it('has nothing to be answered, but in on_upgrade', function()
    local request = of_http(http.request '/')
    assert.same({ nil, 'already answered' }, { request:accept() })
    assert.same({ nil, 'already answered' }, { request:reject() })
  end)
end)
