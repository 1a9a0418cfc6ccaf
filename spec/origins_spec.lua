-- SPDX-License-Identifier: MIT
-- origins: whose pages may open websockets (RFC 6455 10.2).
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local pair = require 'spec.support.pair'

describe('origins', function()
  require('spec.support.leaks').check_each(before_each, after_each)

  local function handshake(ctx, port, origin)
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p', headers = { Origin = origin } })
    local status = c:read_head()
    c:close()
    return status
  end

  it('are all let in by default', function()
    local ctx, port = pair.context()
    for _, origin in ipairs { false, 'https://example.org', 'null', 'x' } do
      assert.equal(101, handshake(ctx, port, origin))
    end
  end)

  it('are let in when they are in the list', function()
    local ctx, port = pair.context { origins = { 'https://example.org', 'https://*.example.net', 'http://localhost:81' } }
    for _, origin in ipairs { 'https://example.org', 'https://EXAMPLE.org', 'https://a.example.net',
      'https://a.b.example.net', 'http://localhost:81' } do
      assert.equal(101, handshake(ctx, port, origin), origin)
    end
    for _, origin in ipairs { 'http://example.org', 'https://example.org:81', 'https://example.net', 'null', '',
      'https://www.example.org', 'https://evil.com/.example.net', 'http://localhost', 'https://example.org.evil.com' } do
      assert.equal(403, handshake(ctx, port, origin), origin)
    end
  end)

  it('need not be told by who is no browser', function()
    local ctx, port = pair.context { origins = {} }
    assert.equal(101, handshake(ctx, port, false))
    assert.equal(403, handshake(ctx, port, 'https://example.org'))
  end)

  it('may be everybody, or null', function()
    local ctx, port = pair.context { origins = { '*' } }
    assert.equal(101, handshake(ctx, port, 'null'))
    assert.equal(101, handshake(ctx, port, 'https://example.org'))
    ctx, port = pair.context { origins = { 'null' } }
    assert.equal(101, handshake(ctx, port, 'null'))
    assert.equal(403, handshake(ctx, port, 'https://example.org'))
  end)

  it('may be odd', function()
    local odd = { 'file://', 'file:///', 'app://', 'app://.', 'null', 'content://x/y', 'example.org', 'localhost:8080',
      'about:blank', 'http://a.b/', 'x', 'a b', '=', '*', '"x"' }
    for i, origin in ipairs(odd) do
      local pattern = i > 6 and '=' .. origin or origin
      local ctx, port = pair.context { origins = { 'https://example.org', pattern } }
      assert.equal(101, handshake(ctx, port, origin), origin)
      assert.equal(101, handshake(ctx, port, 'https://example.org'))
      for _, other in ipairs { origin .. 'x', 'https://example.com', '' } do
        assert.equal(403, handshake(ctx, port, other), other)
      end
      ctx:destroy()
    end
  end)

  it('are refused with a reason, before on_upgrade', function()
    local ctx, port = pair.context {
      origins = { 'https://example.org' },
      on_upgrade = function() error 'called' end,
    }
    local request = client.request { protocol = 'p', headers = { Origin = 'https://example.com' } }
    local _, body = http.expect_refusal(ctx, port, request, 403)
    assert.is_truthy(body:find 'origin')
  end)

  it('come once', function()
    local ctx, port = pair.context { origins = { 'https://example.org' } }
    local twice = client.request { protocol = 'p', headers = { Origin = 'https://example.org\r\nOrigin: https://x' } }
    http.expect_refusal(ctx, port, twice, 403)
  end)

  it('are not asked for in other requests', function()
    local c = http.open(function(ws) ws:respond(200) end, { origins = { 'https://example.org' } })
    c:send(http.request('/', { headers = { 'Origin: https://example.com' } }))
    assert.equal(200, (c:read_response()))
  end)

  it('are checked', function()
    for _, value in ipairs { 'https://example.org', 5, true, { 'example.org' }, { 'https://example.org/' }, { '' }, { 5 },
      { 'https://*' }, { 'localhost:8080' }, { 'http://' }, { 'file:' }, { {} }, { 'https://a.org\0' } } do
      local ok, message = pcall(pair.context, { origins = value })
      assert.is_false(ok)
      assert.is_truthy(message:find("option 'origins' is ", 1, true), message)
    end
  end)
end)
