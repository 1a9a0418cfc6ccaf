-- SPDX-License-Identifier: MIT
-- How many connections there may be, in all and of one address.
local client = require 'spec.support.client'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'
local tls = require 'spec.support.tls'
local unix = require 'socket.unix'

-- What LuaSocket offers depends on its version.
local stream = type(unix) == 'table' and (unix.stream or unix.tcp) or unix

-- A connection from one of this machine's addresses, 127.0.0.0/8 or ::1.
local function connect_from(ctx, port, address)
  local sock = assert(address:find(':', 1, true) and socket.tcp6() or socket.tcp4())
  assert(sock:bind(address, 0))
  sock:settimeout(10 * loop.time_factor)
  assert(sock:connect(address:find(':', 1, true) and '::1' or '127.0.0.1', port))
  sock:settimeout(0)
  return client.adopt(ctx, sock)
end

local function expect_refusal(c, status)
  local actual, headers, body = c:read_response()
  assert.equal(status, actual)
  assert.equal('close', headers.connection)
  assert.is_truthy(body:find '%w')
  c:expect_end()
  c:close()
end

describe('max_connections', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('refuses those beyond with 503, until one of the others ends', function()
    local ctx, port = pair.context { max_connections = 2 }
    local first, second = client.open(ctx, port, 'p'), client.open(ctx, port, 'p')
    for _ = 1, 3 do
      expect_refusal(client.connect(ctx, port), 503)
      local c = client.connect(ctx, port)
      c:send(client.request { protocol = 'p' }) -- which nobody answers
      expect_refusal(c, 503)
    end
    first:finish(1000)
    first = client.open(ctx, port, 'p')
    expect_refusal(client.connect(ctx, port), 503)
    second:reset()
    loop.serve_until(ctx, function()
      second = client.connect(ctx, port)
      second:send(client.request { protocol = 'p' })
      local status = second:read_head()
      return status == 101
    end, 'a place')
    first:ping 'x'
    first:expect_frame(client.PONG, 'x')
  end)

  it('counts connections that say nothing, and those that speak HTTP', function()
    local ctx, port = http.word_server { max_connections = 2 }
    local silent, alive = client.connect(ctx, port), client.connect(ctx, port)
    http.expect_alive(alive)
    expect_refusal(client.connect(ctx, port), 503)
    http.expect_alive(alive)
    silent:close()
    loop.step(ctx)
    http.expect_alive(client.connect(ctx, port))
  end)

  it('calls nobody for those that it refuses', function()
    local opened = 0
    local ctx, port = pair.context({ max_connections = 1 }, function() opened = opened + 1 end)
    client.open(ctx, port, 'p')
    local c = client.connect(ctx, port)
    c:send(client.request { protocol = 'p' })
    expect_refusal(c, 503)
    assert.equal(1, opened)
  end)

  it('keeps few of those that do not read the refusal', function()
    local ctx, port = pair.context { max_connections = 1 }
    local c = client.open(ctx, port, 'p')
    local clients, told, dropped = {}, 0, 0
    local before = 0
    for _ in pairs(leaks.descriptors()) do
      before = before + 1
    end
    for i = 1, 200 do
      clients[i] = client.connect(ctx, port)
    end
    for _ = 1, 30 do
      loop.step(ctx) -- accepts some of them
    end
    local descriptors = 0
    for _ in pairs(leaks.descriptors()) do
      descriptors = descriptors + 1
    end
    assert.is_true(descriptors - before - #clients <= 64)
    for _, each in ipairs(clients) do
      if each:wait_for(1) then
        expect_refusal(each, 503)
        told = told + 1
      else
        dropped = dropped + 1
      end
    end
    assert.equal(64, told)
    assert.equal(136, dropped)
    c:expect_nothing()
    expect_refusal(client.connect(ctx, port), 503)
  end)

  it('drops those beyond before the TLS handshake', function()
    local ctx, port = pair.context(tls.config { max_connections = 1 })
    local c = client.open(ctx, port, { protocol = 'p', tls = {} })
    for _ = 1, 3 do
      client.connect(ctx, port):expect_loss()
    end
    c:expect_nothing()
    c:finish(1000)
    client.open(ctx, port, { protocol = 'p', tls = {} })
  end)

  it('counts every listener', function()
    local path = os.tmpname()
    os.remove(path)
    local ctx, port = pair.context { max_connections = 1, listen = { 'unix:' .. path } }
    local sock = stream()
    assert(sock:connect(path))
    sock:settimeout(0)
    local c = client.adopt(ctx, sock)
    assert.equal(101, (c:handshake { protocol = 'p' }))
    expect_refusal(client.connect(ctx, port), 503)
  end)

  it('of 0 is off, and so it is unless told', function()
    for _, config in ipairs { {}, { max_connections = 0, max_connections_per_ip = 0 } } do
      local ctx, port = pair.context(config)
      for _ = 1, 100 do
        client.open(ctx, port, 'p')
      end
    end
  end)
end)

describe('max_connections_per_ip', function()
  leaks.check_each(before_each, after_each)
  teardown(tls.remove_folders)

  it('refuses those beyond with 429, but not those of other addresses', function()
    local ctx, port = pair.context { max_connections_per_ip = 2 }
    local first = {}
    for _, address in ipairs { '127.0.0.1', '127.0.0.2', '127.0.0.3' } do
      for i = 1, 2 do
        local c = connect_from(ctx, port, address)
        assert.equal(101, (c:handshake { protocol = 'p' }))
        if i == 1 then first[address] = c end
      end
    end
    for address, c in pairs(first) do
      expect_refusal(connect_from(ctx, port, address), 429)
      c:finish(1000)
      assert.equal(101, (connect_from(ctx, port, address):handshake { protocol = 'p' }))
      expect_refusal(connect_from(ctx, port, address), 429)
    end
  end)

  it('holds for IPv6', function()
    local ctx, port = pair.context { max_connections_per_ip = 1, interf = '::1' }
    assert.equal(101, (connect_from(ctx, port, '::1'):handshake { protocol = 'p' }))
    expect_refusal(connect_from(ctx, port, '::1'), 429)
  end)

  it('does not hold for unix sockets', function()
    local path = os.tmpname()
    os.remove(path)
    local ctx, port = pair.context { max_connections_per_ip = 1, listen = { 'unix:' .. path } }
    for _ = 1, 5 do
      local sock = stream()
      assert(sock:connect(path))
      sock:settimeout(0)
      assert.equal(101, (client.adopt(ctx, sock):handshake { protocol = 'p' }))
    end
    client.open(ctx, port, 'p')
    expect_refusal(client.connect(ctx, port), 429)
  end)

  it('drops those beyond before the TLS handshake', function()
    local ctx, port = pair.context(tls.config { max_connections_per_ip = 1 })
    client.open(ctx, port, { protocol = 'p', tls = {} })
    client.connect(ctx, port):expect_loss()
  end)

  it('goes with max_connections', function()
    local ctx, port = pair.context { max_connections = 2, max_connections_per_ip = 1 }
    client.open(ctx, port, 'p')
    expect_refusal(client.connect(ctx, port), 429)
    assert.equal(101, (connect_from(ctx, port, '127.0.0.2'):handshake { protocol = 'p' }))
    expect_refusal(connect_from(ctx, port, '127.0.0.3'), 503)
  end)

  it('is not hindered by who comes and goes', function()
    local ctx, port = pair.context { max_connections_per_ip = 3 }
    for i = 1, 100 do
      local c = client.connect(ctx, port)
      if i % 2 == 0 then c:send 'GET' end
      loop.step(ctx)
      if i % 3 == 0 then c:reset() else c:close() end
      loop.step(ctx)
    end
    client.open(ctx, port, 'p')
  end)
end)
