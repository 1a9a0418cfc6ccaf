-- SPDX-License-Identifier: MIT
-- Where a context listens: listen, reuse_port, unix_mode, addresses().
local client = require 'spec.support.client'
local command = require 'spec.support.command'
local http = require 'spec.support.http'
local leaks = require 'spec.support.leaks'
local loop = require 'spec.support.loop'
local remote = require 'spec.support.remote'
local socket = require 'socket'
local unix = require 'socket.unix'
local websockets = require 'websockets'

local stream = type(unix) == 'table' and (unix.stream or unix.tcp) or unix

local function context(config, setup)
  config.port = config.port or 0
  config.protocols = { p = setup or function() end }
  return (loop.context(config))
end

local function failure(config)
  config.protocols = { p = function() end }
  local ok, why = pcall(websockets.context, config)
  assert.is_false(ok)
  assert.is_truthy(why:find '^websocket could not create context: ', why)
  return why
end

local function contains(text, part)
  assert.is_truthy(text:find(part, 1, true), ('%q lacks %q'):format(text, part))
end

local function port_of(address)
  return tonumber(address:match ':(%d+)$')
end

local function expect_service(ctx, port, host)
  client.open(ctx, port, { protocol = 'p', host = host }):finish(1000)
end

local function has_ipv6()
  local server = socket.bind('::1', 0)
  if server then server:close() end
  return server ~= nil
end

describe('listen', function()
  leaks.check_each(before_each, after_each)

  it('takes an address and a port', function()
    local port = loop.free_port()
    local ctx = context { listen = { '127.0.0.1:' .. port } }
    assert.same({ '127.0.0.1:' .. port }, ctx:addresses())
    expect_service(ctx, port, '127.0.0.1')
    assert.is_nil((socket.connect('127.0.0.2', port)))
  end)

  it('picks a port for 0', function()
    local ctx = context { listen = { '127.0.0.1:0', '127.0.0.1:0' } }
    local first, second = ctx:addresses()[1], ctx:addresses()[2]
    assert.not_equal(first, second)
    for _, address in ipairs { first, second } do
      assert.equal('127.0.0.1:', address:match '^(.*:)%d+$')
      expect_service(ctx, port_of(address))
    end
  end)

  for _, host in ipairs { '', '*' } do
    it(('takes %q for all addresses'):format(host), function()
      local ctx = context { listen = { host .. ':0' } }
      local addresses = ctx:addresses()
      assert.equal(1, #addresses)
      expect_service(ctx, port_of(addresses[1]), '127.0.0.1')
      expect_service(ctx, port_of(addresses[1]), '127.0.0.2')
      if has_ipv6() then expect_service(ctx, port_of(addresses[1]), '::1') end
    end)
  end

  if has_ipv6() then
    it('takes an IPv6 address', function()
      local ctx = context { listen = { '[::1]:0' } }
      local port = port_of(ctx:addresses()[1])
      assert.same({ '[::1]:' .. port }, ctx:addresses())
      expect_service(ctx, port, '::1')
      assert.is_nil((socket.connect('127.0.0.1', port)))
    end)
  end

  for _, name in ipairs { 'lo', 'localhost' } do
    it('takes a name: ' .. name, function()
      local ctx = context { listen = { name .. ':0' } }
      local addresses = ctx:addresses()
      local port = port_of(addresses[1])
      local seen = {}
      for _, address in ipairs(addresses) do
        assert.is_nil(seen[address])
        seen[address] = true
        assert.equal(port, port_of(address))
        expect_service(ctx, port, address:match '^%[?([^%]]*)%]?:%d+$')
      end
      assert.is_true(seen['127.0.0.1:' .. port])
    end)
  end

  if has_ipv6() then
    it('takes all addresses of IPv4 and of IPv6 apart, in any order', function()
      local port = loop.free_port()
      local v4, v6 = '0.0.0.0:' .. port, '[::]:' .. port
      for _, list in ipairs { { v4, v6 }, { v6, v4 }, { '127.0.0.1:' .. port, v6 }, { v6, '127.0.0.1:' .. port } } do
        local ctx = context { listen = list }
        assert.same(list, ctx:addresses())
        expect_service(ctx, port, '127.0.0.1')
        expect_service(ctx, port, '::1')
        ctx:destroy()
      end
      local ctx = context { listen = { v6 } }
      expect_service(ctx, port, '::1')
      assert.is_nil((socket.connect('127.0.0.1', port)))
    end)
  end

  -- An address of this machine that is valid on one link only: "fe80::1%eth0".
  local function link_local_address()
    local file = io.open '/proc/net/if_inet6'
    if not file then return nil end
    local found
    for line in file:lines() do
      local digits, flags, name = line:match '^(%x+) %x+ %x+ 20 (%x+) +(%S+)'
      -- 40: it is being tried still.
      if digits and tonumber(flags, 16) % 128 < 64 then
        found = digits:gsub('(%x%x%x%x)', '%1:'):sub(1, -2) .. '%' .. name
      end
    end
    file:close()
    return found
  end

  if link_local_address() then
    it('keeps the zone of a link-local address', function()
      local literal = link_local_address()
      local zone = literal:match '%%.*'
      local seen
      local ctx = context({ listen = { '[' .. literal .. ']:0' } }, function(ws)
        seen = { ws:request().address, select(2, ws:get_peer_addresses()) }
      end)
      local address = ctx:addresses()[1]
      assert.equal(zone, address:match '^%[fe80:[^%%]*(%%.*)%]:%d+$')
      expect_service(ctx, port_of(address), literal)
      assert.equal(address:match '^%[(.*)%]', seen[1])
      assert.equal(seen[1], seen[2])
      local again = context { listen = { (address:gsub('%d+$', '0')) } }
      assert.equal(zone, again:addresses()[1]:match '%%[^%]]*')
    end)
  end

  it('is added to port', function()
    local port = loop.free_port()
    local ctx = context { port = tostring(port), interf = '127.0.0.1', listen = { '127.0.0.1:0' } }
    local addresses = ctx:addresses()
    assert.equal(2, #addresses)
    assert.equal('127.0.0.1:' .. port, addresses[1])
    expect_service(ctx, port)
    expect_service(ctx, port_of(addresses[2]))
  end)

  it('may be empty', function()
    local ctx = context { listen = {} }
    assert.same({}, ctx:addresses())
    ctx:service(0)
  end)

  it('says what cannot be listened on', function()
    local taken = assert(socket.bind('127.0.0.1', 0))
    local _, port = taken:getsockname()
    contains(failure { listen = { '127.0.0.1:' .. port } }, '127.0.0.1:' .. port .. ': Address already in use')
    taken:close()
    contains(failure { listen = { '192.0.2.1:0' } }, '192.0.2.1:0: Cannot assign requested address')
    for _, where in ipairs { '', 'x', '127.0.0.1', '127.0.0.1:', '127.0.0.1:x', '127.0.0.1:65536', '127.0.0.1:-1',
      '127.0.0.1:80 ', 'unix', 'fd', 'tcp://x' } do
      contains(failure { listen = { where } }, ("'%s' is not host:port"):format(where))
    end
    contains(failure { listen = '127.0.0.1:0' }, "option 'listen' is '127.0.0.1:0', expected a list, such as { '127.0.0.1:0' }")
    contains(failure { listen = { '127.0.0.1:0', 7 } }, "option 'listen' is 7, expected a list of strings: 'host:port', ':port'")
    contains(failure { listen = { ':70000' } }, "':70000' is not host:port (up to 65535)")
    for _, name in ipairs { 'listen', 'origins', 'trusted_proxies' } do
      contains(failure { [name] = { host = '127.0.0.1', port = 8080 } }, ("option '%s' has the key '"):format(name))
    end
  end)

  it('is told of an interf that has no port', function()
    local function warnings(config)
      local told = {}
      config.on_error = function(message) told[#told + 1] = message end
      context(config):destroy()
      return told
    end
    local told = warnings { interf = '127.0.0.1', listen = { '127.0.0.1:0' } }
    assert.equal(1, #told)
    contains(told[1], "warning: option 'interf' is for 'port', which is not set")
    assert.same({}, warnings { interf = '127.0.0.1', port = loop.free_port(), listen = { '127.0.0.1:0' } })
    assert.same({}, warnings { listen = { '127.0.0.1:0' } })
  end)

  it('gives back what was opened when something cannot be', function()
    local port, path = loop.free_port(), http.file()
    contains(failure { listen = { '127.0.0.1:' .. port, 'unix:' .. path, '192.0.2.1:0' } }, '192.0.2.1')
    assert.is_nil(io.open(path))
    expect_service(context { listen = { '127.0.0.1:' .. port } }, port)
  end)
end)

describe('reuse_port', function()
  leaks.check_each(before_each, after_each)

  it('shares a port', function()
    local opened = { 0, 0 }
    local port = loop.free_port()
    local function one(index)
      return context({ listen = { '127.0.0.1:' .. port }, reuse_port = true },
        function() opened[index] = opened[index] + 1 end)
    end
    local both = { one(1), one(2) }
    local clients = {}
    loop.serve_until(both, function()
      clients[#clients + 1] = client.open(both, port, 'p')
      return opened[1] > 0 and opened[2] > 0
    end, 'clients of both')
    assert.equal(#clients, opened[1] + opened[2])
  end)

  it('is off unless it is asked for', function()
    local port = loop.free_port()
    local ctx = context { listen = { '127.0.0.1:' .. port }, reuse_port = true }
    contains(failure { listen = { '127.0.0.1:' .. port } }, 'in use')
    expect_service(ctx, port)
    contains(failure { reuse_port = 1 }, "option 'reuse_port' is 1, expected true or false")
  end)
end)

describe('a unix socket', function()
  leaks.check_each(before_each, after_each)
  teardown(http.remove_files)

  local function connect(ctx, path)
    local sock = assert(stream())
    local ok, why = sock:connect(path)
    if not ok then
      sock:close()
      return nil, why
    end
    sock:settimeout(0)
    return client.adopt(ctx, sock)
  end

  local function expect_service_at(ctx, path)
    local c = assert(connect(ctx, path))
    assert.equal(101, (c:handshake { protocol = 'p' }))
    c:finish(1000)
  end

  local function mode_of(path)
    return (command.run({}, 'stat -c %a ' .. path):gsub('%s', ''))
  end

  it('is listened on, and removed at the end', function()
    local path = http.file()
    local name, ip
    local ctx = context({ listen = { 'unix:' .. path } }, function(ws) name, ip = ws:get_peer_addresses() end)
    assert.same({ 'unix:' .. path }, ctx:addresses())
    expect_service_at(ctx, path)
    assert.equal('', name)
    assert.equal('', ip)
    ctx:destroy()
    assert.equal('', mode_of(path):match '^%d*')
  end)

  it('is for everybody, or as unix_mode says', function()
    local path = http.file()
    local ctx = context { listen = { 'unix:' .. path } }
    assert.equal('666', mode_of(path))
    ctx:destroy()
    context { listen = { 'unix:' .. path }, unix_mode = 6 * 64 + 6 * 8 }
    assert.equal('660', mode_of(path))
    for _, mode in ipairs { -1, 512, 1.5, 'x', true } do
      contains(failure { listen = { 'unix:' .. path }, unix_mode = mode }, "option 'unix_mode' is ")
    end
  end)

  it('takes the place of one on which nobody listens', function()
    local path = http.file()
    local server = assert(stream())
    assert(server:bind(path))
    server:close()
    assert.equal('socket', (command.run({}, 'stat -c %F ' .. path):gsub('%s', '')))
    expect_service_at(context { listen = { 'unix:' .. path } }, path)
  end)

  it('does not take the place of one on which somebody listens', function()
    local path = http.file()
    local ctx = context { listen = { 'unix:' .. path } }
    contains(failure { listen = { 'unix:' .. path } }, ('unix:%s: Address already in use'):format(path))
    expect_service_at(ctx, path)
  end)

  it('does not take the place of another file', function()
    local path = http.file 'precious'
    contains(failure { listen = { 'unix:' .. path } }, 'Address already in use')
    local file = assert(io.open(path))
    assert.equal('precious', file:read '*a')
    file:close()
  end)

  it('is not removed when another one is in its place', function()
    local path = http.file()
    local first = context { listen = { 'unix:' .. path } }
    os.rename(path, path .. '.old')
    local second = context { listen = { 'unix:' .. path } }
    first:destroy()
    expect_service_at(second, path)
    os.remove(path .. '.old')
  end)

  it('has a path that the system takes', function()
    contains(failure { listen = { 'unix:' } }, '1 to 107 bytes')
    contains(failure { listen = { 'unix:/tmp/' .. ('x'):rep(200) } }, '1 to 107 bytes')
    contains(failure { listen = { 'unix:/nowhere/socket' } }, 'No such file or directory')
    local path = os.tmpname()
    os.remove(path)
    path = path .. ('x'):rep(107 - #path)
    expect_service_at(context { listen = { 'unix:' .. path } }, path)
  end)
end)

describe('an inherited socket', function()
  leaks.check_each(before_each, after_each)
  after_each(remote.close_all)
  teardown(http.remove_files)

  -- The descriptor of a listening socket of this process, which nobody else refers to.
  local function listening(server)
    local fd = server:getfd()
    server:setfd(-1)
    return ('%d'):format(fd)
  end

  it('is listened on', function()
    local server = assert(socket.bind('127.0.0.1', 0))
    local _, port = server:getsockname()
    local ctx = context { listen = { 'fd:' .. listening(server) } }
    assert.same({ '127.0.0.1:' .. port }, ctx:addresses())
    expect_service(ctx, port)
    ctx:destroy()
    assert.is_nil((socket.connect('127.0.0.1', port)))
  end)

  it('may be a unix socket, whose file is not ours to remove', function()
    local path = http.file()
    local server = assert(stream())
    assert(server:bind(path))
    assert(server:listen())
    local ctx = context { listen = { 'fd:' .. listening(server) } }
    assert.same({ 'unix:' .. path }, ctx:addresses())
    ctx:destroy()
    assert.equal('socket', (command.run({}, 'stat -c %F ' .. path):gsub('%s', '')))
  end)

  it('has to be there, and to listen', function()
    local ctx = context { listen = { '127.0.0.1:0' } }
    local connected = client.connect(ctx, port_of(ctx:addresses()[1]))
    for _, fd in ipairs { '1000000', '-1', 'x', '', '99999999999', ('%d'):format(connected.sock:getfd()), '1.5', '3 ' } do
      contains(failure { listen = { 'fd:' .. fd } }, ("'fd:%s' is not a socket that listens"):format(fd))
    end
    assert.is_number(connected:send_some 'x')
  end)

  it('comes from whoever started the process', function()
    local server = remote.start { command = [[python3 -c '
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
os.environ["PORT"] = str(server.getsockname()[1])
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.dup2(server.fileno(), 3)
if server.fileno() == 3: os.set_inheritable(3, True)
os.execvp(sys.argv[1], sys.argv[1:])']] }
    local port = tonumber((server:call [[
      contexts[1] = require('websockets').context { listen = { 'fd:3' }, protocols = { p = function() end } }
      return os.getenv 'PORT']]))
    expect_service({}, port)
  end)
end)
