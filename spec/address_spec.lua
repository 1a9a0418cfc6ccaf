-- SPDX-License-Identifier: MIT
-- get_socket_fd and get_peer_addresses.
local client = require 'spec.support.client'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local pair = require 'spec.support.pair'
local socket = require 'socket'

describe('get_socket_fd', function()
  leaks.check_each(before_each, after_each)

  it('is the descriptor of the connection', function()
    local before = leaks.descriptors()
    local c, ws = pair.open()
    local fd = ws:get_socket_fd()
    assert.equal(fd, math.floor(fd))
    assert.is_nil(before[fd])
    assert.is_number(leaks.descriptors()[fd])
    assert.not_equal(c.sock:getfd(), fd)
  end)

  it('is another one for each connection', function()
    local fds = {}
    local ctx, port = pair.context(nil, function(ws)
      local fd = ws:get_socket_fd()
      assert(not fds[fd])
      fds[fd] = true
    end)
    for _ = 1, 5 do
      client.open(ctx, port, 'p')
    end
  end)

  it('is -1 afterwards', function()
    local c, ws = pair.open()
    c:finish(1000)
    assert.equal(-1, ws:get_socket_fd())
  end)
end)

describe('get_peer_addresses', function()
  leaks.check_each(before_each, after_each)

  local function addresses_of(config, host)
    local name, ip
    local ctx, port = pair.context(config, function(ws)
      name, ip = ws:get_peer_addresses()
    end)
    client.open(ctx, port, { protocol = 'p', host = host })
    return name, ip
  end

  it('tells a numeric IPv4 address, also when the server listens on IPv6', function()
    local name, ip = addresses_of(nil, '127.0.0.1')
    assert.is_string(name)
    assert.equal('127.0.0.1', ip)
  end)

  it('tells a numeric IPv4 address', function()
    local name, ip = addresses_of({ interf = '127.0.0.1' }, '127.0.0.1')
    assert.is_string(name)
    assert.equal('127.0.0.1', ip)
  end)

  local server = socket.bind('::1', 0)
  if server then
    server:close()
    it('tells a numeric IPv6 address', function()
      local name, ip = addresses_of(nil, '::1')
      assert.is_string(name)
      assert.equal('::1', ip)
    end)
  end

  it('tells the name once it is known, and does not wait for it', function()
    local names, ws, ctx = {}, select(2, pair.open(nil, nil, { host = '127.0.0.1' }))
    loop.serve_until(ctx, function()
      local name, ip = ws:get_peer_addresses()
      names[name] = true
      assert.equal('127.0.0.1', ip)
      return name ~= ''
    end, 'a name')
    names[''] = nil
    local name = next(names)
    assert.is_truthy(name:find '^localhost', name)
    -- It is remembered.
    assert.equal(name, (addresses_of(nil, '127.0.0.1')))
  end)

  it('is empty afterwards', function()
    local c, ws = pair.open()
    c:reset()
    ws:terminate()
    local name, ip = ws:get_peer_addresses()
    assert.equal('', name)
    assert.equal('', ip)
  end)
end)
